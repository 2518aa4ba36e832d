#include "descent/io/net.h"

#include "descent/base/text.h"
#include "descent/io/safetensors.h"

namespace descent::io {

namespace {

std::vector<nn::StatePtr> states_of(const nn::Module& net, std::string_view what) {
  std::vector<nn::StatePtr> states = nn::all_states(net);
  if (states.empty())
    fail(text("a net without parameters cannot be ", what,
              ": they are made when it is first traced; train it, or call nn::make_parameters()"));
  return states;
}

const Array& array_for(const nn::State& state, const TensorFile& file, const std::filesystem::path& path) {
  const Array* array = file.find(state.name());
  if (array == nullptr)
    fail(text(path.string(), " has no '", state.name(), "' ", state.type(), ": it is of another net"));
  if (array->type() != state.type())
    fail(text(path.string(), ": '", state.name(), "' is ", array->type(), ", the net's is ", state.type()));
  return *array;
}

}  // namespace

void save(const nn::Module& net, const std::filesystem::path& path) {
  TensorFile file;
  for (const nn::StatePtr& state : states_of(net, "saved")) file.tensors.emplace_back(state->name(), state->array());
  save_safetensors(path, file);
}

void load(nn::Module& net, const std::filesystem::path& path) {
  const TensorFile file = load_safetensors(path);
  const std::vector<nn::StatePtr> states = states_of(net, "filled from a file");
  for (const nn::StatePtr& state : states) array_for(*state, file, path);
  for (const nn::StatePtr& state : states) state->assign(array_for(*state, file, path));
}

}  // namespace descent::io
