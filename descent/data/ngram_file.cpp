// N-gram models as files: "1.tokens", "1.log_probabilities", ... for each order, and what lookups rely on checked.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/ngram.h"
#include "descent/io/safetensors.h"

namespace descent::data {

namespace {

// Arrays hold at least one element here; an order without n-grams (of a text shorter than that) is left out.
template <class T>
void append(io::TensorFile& file, const std::string& name, DType dtype, const std::vector<T>& values) {
  if (values.empty()) return;
  Array array(dtype, {std::ssize(values)});
  std::ranges::copy(values, array.as<T>().begin());
  file.tensors.emplace_back(name, std::move(array));
}

template <class T>
std::vector<T> values_of(const io::TensorFile& file, const std::string& name, DType dtype, const std::string& path) {
  const Array* array = file.find(name);
  if (array == nullptr) return {};
  if (array->dtype() != dtype || array->shape().rank() != 1)
    fail(text(path, ": '", name, "' of an n-gram model cannot be ", array->type()));
  const std::span<const T> values = array->as<T>();
  return {values.begin(), values.end()};
}

// A whole number of the header, or -1.
int64_t number_of(const io::TensorFile& file, const std::string& name) {
  const auto at = file.metadata.find(name);
  int64_t value = -1;
  if (at != file.metadata.end()) std::from_chars(at->second.data(), at->second.data() + at->second.size(), value);
  return value;
}

bool all_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

}  // namespace

void NGram::save(const std::filesystem::path& path) const {
  io::TensorFile file;
  file.metadata = {{"kind", "ngram"}, {"order", text(order())}, {"vocabulary", text(vocabulary_)}};
  for (int n = 1; n <= order(); ++n) {
    const Level& level = levels_[n - 1];
    append(file, text(n, ".tokens"), DType::i32, level.tokens);
    append(file, text(n, ".log_probabilities"), DType::f32, level.log_probabilities);
    append(file, text(n, ".log_backoffs"), DType::f32, level.log_backoffs);
    append(file, text(n, ".children"), DType::u32, level.children);
  }
  io::save_safetensors(path, file);
}

NGram NGram::load(const std::filesystem::path& path) {
  const io::TensorFile file = io::load_safetensors(path);
  const int64_t order = number_of(file, "order");
  const auto kind = file.metadata.find("kind");
  if (kind == file.metadata.end() || kind->second != "ngram" || order < 1 || order > max_order)
    fail(text(path.string(), " is no n-gram model"));
  NGram out;
  out.vocabulary_ = number_of(file, "vocabulary");
  for (int64_t n = 1; n <= order; ++n)
    out.levels_.push_back({values_of<int32_t>(file, text(n, ".tokens"), DType::i32, path.string()),
                           values_of<float>(file, text(n, ".log_probabilities"), DType::f32, path.string()),
                           values_of<float>(file, text(n, ".log_backoffs"), DType::f32, path.string()),
                           values_of<uint32_t>(file, text(n, ".children"), DType::u32, path.string())});
  out.check(path);
  return out;
}

void NGram::check(const std::filesystem::path& path) const {
  const auto require = [&](bool sound, int n, const char* what) {
    if (!sound) fail(text(path.string(), ": the n-gram model's order ", n, " ", what));
  };
  require(vocabulary_ > 0 && std::ssize(levels_[0].tokens) == vocabulary_, 1, "does not have every token");
  for (int64_t i = 0; i < vocabulary_; ++i) require(levels_[0].tokens[i] == i, 1, "does not have every token");
  for (int n = 1; n <= order(); ++n) {
    const Level& level = levels_[n - 1];
    require(level.log_probabilities.size() == level.tokens.size() && all_finite(level.log_probabilities), n,
            "lacks probabilities");
    if (n == order()) break;
    const size_t next = levels_[n].tokens.size();
    require(level.log_backoffs.size() == level.tokens.size() && all_finite(level.log_backoffs), n, "lacks backoffs");
    require(level.children.size() == level.tokens.size() + 1 && std::ranges::is_sorted(level.children) &&
                level.children.front() == 0 && level.children.back() == next,
            n, "does not fit the next");
    for (size_t i = 0; i < level.tokens.size(); ++i) {
      const std::span<const int32_t> tokens = continuations(n - 1, static_cast<int64_t>(i));
      require(std::ranges::adjacent_find(tokens, std::greater_equal<>{}) == tokens.end() &&
                  (tokens.empty() || (tokens.front() >= 0 && tokens.back() < vocabulary_)),
              n + 1, "is not in order");
    }
  }
}

}  // namespace descent::data
