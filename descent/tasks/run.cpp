#include "descent/tasks/run.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "descent/data/catalogue.h"
#include "descent/data/csv.h"
#include "descent/io/checkpoint.h"
#include "descent/nn/layers.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/sequential.h"
#include "descent/optim/optimizer.h"

namespace descent::tasks {

using nlohmann::json;

std::string Preprocess::to_json() const {
  json out{{"classes", classes}, {"input", input}};
  if (normalizer) out["normalizer"] = json::parse(normalizer->to_json());
  if (encoder) out["encoder"] = json::parse(encoder->to_json());
  return out.dump(2);
}

Preprocess Preprocess::from_json(const std::string& source) {
  const json in = json::parse(source);
  Preprocess out;
  out.classes = in.at("classes").get<std::vector<std::string>>();
  out.input = in.at("input").get<std::vector<int64_t>>();
  if (in.contains("normalizer")) out.normalizer = data::Normalizer::from_json(in.at("normalizer").dump());
  if (in.contains("encoder")) out.encoder = data::TableEncoder::from_json(in.at("encoder").dump());
  return out;
}

namespace {

std::string kind_of(const nn::Settings& settings) { return settings.word("kind"); }

nn::Settings without_kind(const nn::Settings& settings) {
  static constexpr std::string_view names[] = {"kind"};
  return settings.without(names);
}

struct Examples {
  data::Splits splits;
  Preprocess preprocess;
};

data::TargetKind target_kind(const Recipe& recipe) { return recipe.task == "regress" ? data::TargetKind::number : data::TargetKind::classes; }

Examples encoded(const Recipe& recipe, const data::Table& table) {
  const nn::Settings& settings = recipe.data;
  data::EncodedTable made = data::encode_splits(table, {.target = settings.word("target"), .kind = target_kind(recipe)},
                                                {settings.number("validation"), settings.number("test")}, static_cast<uint64_t>(recipe.train.integer("seed")));
  return {std::move(made.splits), {.encoder = std::move(made.encoder)}};
}

Examples load_data(const Recipe& recipe) {
  const nn::Settings& settings = recipe.data;
  const std::string &name = settings.word("name"), &csv = settings.word("csv"), &rows = settings.word("rows");
  if (!rows.empty()) return encoded(recipe, data::parse_csv(rows, recipe.path.string() + " [data] rows"));
  if (!csv.empty()) return encoded(recipe, data::read_csv(recipe.path.parent_path() / csv));
  const data::catalogue::Division division{settings.number("validation"), settings.number("test"), static_cast<uint64_t>(recipe.train.integer("seed"))};
  if (data::catalogue::find(name).kind == data::catalogue::Kind::table) {
    data::EncodedTable made = data::catalogue::load_encoded(name, division);
    return {std::move(made.splits), {.encoder = std::move(made.encoder)}};
  }
  Examples out{data::catalogue::load(name, division), {}};
  out.preprocess.normalizer = data::Normalizer::fit(out.splits.train.inputs);
  return out;
}

// The part of the recipe that says how long, how fast and how careful.
train::FitOptions fit_options(const Recipe& recipe, nn::Precision precision) {
  const nn::Settings& train = recipe.train;
  train::FitOptions out;
  out.epochs = train.integer("epochs");
  out.batch_size = train.integer("batch_size");
  out.seed = static_cast<uint64_t>(train.integer("seed"));
  out.patience = train.integer("patience");
  out.precision = precision;
  out.minimize.clip = {train.number("clip_value"), train.number("clip_norm")};
  out.minimize.regularization = {train.number("l1"), train.number("l2")};
  out.average = train.number("average");
  out.data_threads = static_cast<int>(train.integer("data_threads"));
  out.record_every = train.integer("record_every");
  if (recipe.schedule.has("kind"))
    out.schedule = [schedule = recipe.schedule](optim::RunLength length) { return optim::make_schedule(kind_of(schedule), without_kind(schedule), length); };
  data::AugmentOptions augment{.shift = recipe.augment.number("shift"), .rotate = recipe.augment.number("rotate"), .scale = recipe.augment.number("scale"),
                               .shear = recipe.augment.number("shear"), .elastic_alpha = recipe.augment.number("elastic_alpha"),
                               .elastic_sigma = recipe.augment.number("elastic_sigma")};
  if (augment.any()) out.augment = augment;
  return out;
}

train::Trainer make_trainer(const Recipe& recipe, const Preprocess& preprocess) {
  const std::string fallback = recipe.task == "regress" ? "mean_squared_error" : "cross_entropy";
  nn::Loss loss = nn::make_loss(recipe.loss.has("kind") ? kind_of(recipe.loss) : fallback, without_kind(recipe.loss));
  return {make_run_net(recipe, preprocess), std::move(loss), optim::make_optimizer(recipe.optimizer.has("kind") ? kind_of(recipe.optimizer) : "adamw", without_kind(recipe.optimizer))};
}

}  // namespace

data::Splits load_splits(const Recipe& recipe) { return load_data(recipe).splits; }

nn::ModulePtr make_run_net(const Recipe& recipe, const Preprocess& preprocess) {
  std::vector<nn::Layer> layers;
  if (preprocess.normalizer && recipe.data.flag("normalize"))
    layers.emplace_back("normalize", nn::Layer(nn::Normalize(preprocess.normalizer->scale, preprocess.normalizer->shift)));
  layers.emplace_back("net", nn::Layer(nn::make_net(recipe.layers)));
  return std::make_shared<nn::Sequential>(std::move(layers));
}

Prepared prepare(const Recipe& recipe, nn::Precision precision) {
  if (recipe.layers.empty()) throw UsageError(nn::site_of(recipe.path.string(), 1), "the recipe has no [[layer]]");
  Examples examples = load_data(recipe);
  examples.preprocess.classes = examples.splits.train.classes;
  const Shape& shape = examples.splits.train.inputs.shape();
  examples.preprocess.input = {shape.begin() + 1, shape.end()};
  train::FitOptions options = fit_options(recipe, precision);
  options.validation = examples.splits.validation;
  train::Trainer trainer = make_trainer(recipe, examples.preprocess);
  return {recipe, std::move(examples.preprocess), std::move(examples.splits), std::move(trainer), std::move(options)};
}

Loaded load_run(const std::filesystem::path& directory) {
  Recipe recipe = read_recipe(directory / "recipe.toml");
  std::ifstream file(directory / "preprocess.json");
  if (!file) fail(text(directory.string(), " is not a run: it has no preprocess.json"));
  Preprocess preprocess = Preprocess::from_json({std::istreambuf_iterator<char>(file), {}});
  train::Trainer trainer = make_trainer(recipe, preprocess);
  std::vector<int64_t> shape{1};
  shape.insert(shape.end(), preprocess.input.begin(), preprocess.input.end());
  trainer.load(io::load_newest_good(directory, {"best", "last", "previous"}).checkpoint.tensors, {preprocess.normalizer ? DType::u8 : DType::f32, Shape(shape)});
  return {std::move(recipe), std::move(preprocess), std::move(trainer)};
}

}  // namespace descent::tasks
