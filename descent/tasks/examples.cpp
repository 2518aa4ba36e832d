#include "descent/tasks/examples.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "descent/base/text.h"
#include "descent/data/catalogue.h"
#include "descent/data/cifar.h"
#include "descent/data/csv.h"
#include "descent/data/idx.h"
#include "descent/data/image_folder.h"
#include "descent/data/npz.h"
#include "descent/tasks/go.h"
#include "descent/tasks/language.h"
#include "descent/tasks/sounds.h"
#include "descent/tasks/transcribe.h"

namespace descent::tasks {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Type Preprocess::batch(int64_t rows) const {
  Shape shape{rows};
  for (const int64_t size : input.shape) shape.push_back(size);
  return {input.dtype, shape};
}

std::string Preprocess::to_json() const {
  Json out{{"input", {{"dtype", to_text(input.dtype)}, {"shape", input.shape.to_vector()}}}, {"classes", classes}};
  if (tokenizer) out["tokens"] = Json::parse(tokenizer->to_json());
  if (conversations) out["conversations"] = true;
  if (replies) out["replies"] = true;
  if (fit) out["fit"] = std::string(data::to_text(*fit));
  if (sound_rate > 0) out["sound"] = {{"rate", sound_rate}};
  if (normalizer) out["normalizer"] = Json::parse(normalizer->to_json());
  if (encoder) out["encoder"] = Json::parse(encoder->to_json());
  return out.dump(1) + "\n";
}

Preprocess Preprocess::from_json(const std::string& stored) {
  try {
    const Json in = Json::parse(stored);
    Preprocess out;
    out.classes = in.at("classes").get<std::vector<std::string>>();
    const auto dtype = dtype_from_text(in.at("input").at("dtype").get<std::string>());
    const auto sizes = in.at("input").at("shape").get<std::vector<int64_t>>();
    const bool sound = dtype && static_cast<int>(sizes.size()) < Shape::max_rank &&
                       std::ranges::all_of(sizes, [](int64_t size) { return size > 0 && size < (int64_t{1} << 31); });
    if (!sound) fail("the stored preprocessing has an impossible input type");
    out.input = {*dtype, Shape(sizes)};
    if (in.contains("tokens")) out.tokenizer = data::Tokenizer::from_json(in.at("tokens").dump());
    out.conversations = in.value("conversations", false);
    out.replies = in.value("replies", false);
    if (in.contains("fit")) out.fit = data::fit_mode_from_text(in.at("fit").get<std::string>());
    if (in.contains("sound")) {
      out.sound_rate = in.at("sound").at("rate").get<int64_t>();
      if (out.sound_rate < 1 || out.input.dtype != DType::f32 || out.input.shape.rank() != 1)
        fail("the stored preprocessing has an impossible sound");
    }
    if (in.contains("normalizer")) out.normalizer = data::Normalizer::from_json(in.at("normalizer").dump());
    if (in.contains("encoder")) out.encoder = data::TableEncoder::from_json(in.at("encoder").dump());
    return out;
  } catch (const nlohmann::json::exception& problem) {
    fail(text("the stored preprocessing cannot be read: ", problem.what()));
  }
}

namespace {

bool is_image(const Array& inputs) { return inputs.shape().rank() >= 3; }

// Each feature of f32 [N,F] to mean 0 and deviation 1.
data::Normalizer fit_features(const Array& inputs) {
  const int64_t rows = inputs.shape()[0], features = inputs.shape()[1];
  const std::span<const float> values = inputs.as<float>();
  data::Normalizer out;
  for (int64_t f = 0; f < features; ++f) {
    double sum = 0, squares = 0;
    for (int64_t row = 0; row < rows; ++row) sum += values[row * features + f];
    const double mean = sum / static_cast<double>(rows);
    for (int64_t row = 0; row < rows; ++row) squares += std::pow(values[row * features + f] - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(rows));
    const double divisor = deviation > 1e-6 * std::abs(mean) ? deviation : 1;
    out.scale.push_back(static_cast<float>(1 / divisor));
    out.shift.push_back(static_cast<float>(-mean / divisor));
  }
  return out;
}

// Rows that are made when they are wanted speak through some of them, spread evenly.
Array rows_to_fit(const data::Dataset& training) {
  if (!training.source) return training.inputs;
  const data::Dataset some = training.spread(2000);
  return some.read_inputs(0, some.size());
}

std::optional<data::Normalizer> fit_normalizer(const data::Dataset& training) {
  const Array inputs = rows_to_fit(training);
  if (is_image(inputs)) return data::Normalizer::fit(inputs);
  if (inputs.shape().rank() == 2 && inputs.dtype() == DType::f32) return fit_features(inputs);
  return std::nullopt;
}

data::Fractions fractions(const Recipe& recipe) {
  return {recipe.data.number("validation"), recipe.data.number("test")};
}

// What was read from a file of arrays: divided where it is not yet, and normalised.
Examples of_arrays(const Recipe& recipe, data::Splits splits) {
  const data::Fractions parts = fractions(recipe);
  if (splits.test.size() == 0) {
    splits = data::split(splits.train, parts, recipe.seed());
  } else if (splits.validation.size() == 0 && parts.validation > 0) {
    data::hold_out_validation(splits, parts.validation, recipe.seed());
  }
  Examples out{std::move(splits), {}};
  if (recipe.data.flag("normalize")) out.preprocess.normalizer = fit_normalizer(out.splits.train);
  return out;
}

Examples of_encoded(data::EncodedTable table) {
  return {std::move(table.splits), {.encoder = std::move(table.encoder)}};
}

Examples of_table(const Recipe& recipe, const data::Table& table) {
  data::EncoderOptions options{.target = recipe.data.word("target"),
                               .kind = find_task(recipe.task).table_target,
                               .ignore = recipe.ignored_columns()};
  return of_encoded(data::encode_splits(table, options, fractions(recipe), recipe.seed()));
}

// With `classes` the labels must be among them; without, their number is one more than the largest label.
data::Dataset idx_part(const fs::path& folder, const std::string& part, std::vector<std::string> classes = {}) {
  const fs::path images = folder / (part + "-images-idx3-ubyte"), labels = folder / (part + "-labels-idx1-ubyte");
  const auto plain_or_packed = [](const fs::path& path) {
    return (fs::exists(path) ? path : fs::path(path.string() + ".gz")).string();
  };
  const Array numbers = data::read_idx(plain_or_packed(labels));
  if (classes.empty()) classes = data::numbered_classes(data::count_classes(numbers, plain_or_packed(labels)));
  return data::labelled(data::read_idx(plain_or_packed(images)), numbers, std::move(classes), plain_or_packed(labels));
}

// A path of [data] is seen from the recipe's folder.
fs::path data_path(const Recipe& recipe, const std::string& path) { return (recipe.base / path).lexically_normal(); }

// Numbers that the recipe leaves to the images.
data::ImageSize size_for(const Recipe& recipe, const data::ImageList& list) {
  data::ImageSize out{recipe.data.integer("height"), recipe.data.integer("width"), recipe.data.integer("channels"),
                      data::fit_mode_from_text(recipe.data.word("fit"))};
  if (out.channels == 2)
    throw UsageError(recipe.data.at("channels"), "[data]: 'channels' must be 1 for grey or 3 for colour, got 2");
  if (out.height == 0 || out.width == 0 || out.channels == 0) {
    const data::ImageFacts facts = data::image_facts(list);
    constexpr int64_t least = 8, most = 64;
    const int64_t side = std::clamp(facts.side, least, most);
    if (out.height == 0) out.height = out.width == 0 ? side : out.width;
    if (out.width == 0) out.width = out.height;
    if (out.channels == 0) out.channels = facts.grey ? 1 : 3;
  }
  return out;
}

Examples of_images(const Recipe& recipe, const std::string& path) {
  data::ImageList list = data::list_images(data_path(recipe, path));
  data::divide_images(list, fractions(recipe), recipe.seed());
  const data::ImageSize size = size_for(recipe, list);
  const int64_t physical = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const int64_t memory = std::min(recipe.data.integer("memory") << 20, physical / 2);
  Examples out{data::load_images(list, size, memory), {}};
  if (recipe.data.flag("normalize")) out.preprocess.normalizer = fit_normalizer(out.splits.train);
  out.preprocess.fit = size.fit;
  return out;
}

// A source of examples, by its key in [data].
struct Source {
  std::string_view key;
  Examples (*load)(const Recipe& recipe, const std::string& value);
};

Examples load_catalogue(const Recipe& recipe, const std::string& name) {
  const data::catalogue::Entry& entry = data::catalogue::find(name);
  if (entry.kind == data::catalogue::Kind::text)
    return load_text_examples(recipe, (data::catalogue::get(name) / entry.files.at(0).name).string());
  if (entry.kind == data::catalogue::Kind::sounds)
    return load_sound_examples(recipe, (data::catalogue::get(name) / entry.files.at(0).name).string(), entry.names);
  if (entry.kind == data::catalogue::Kind::conversations) {
    std::vector<std::string> paths;
    for (const data::catalogue::DataFile& file : entry.files)
      paths.push_back((data::catalogue::get(name) / file.name).string());
    return load_conversation_examples(recipe, paths);
  }
  if (entry.kind == data::catalogue::Kind::speech)
    throw UsageError(recipe.data.at("name"),
                     text("[data]: '", name, "' is speech; did you mean speech = \"", name, "\"?"));
  const data::Fractions parts = fractions(recipe);
  const data::catalogue::Division division{parts.validation, parts.test, recipe.seed()};
  if (entry.kind == data::catalogue::Kind::table) return of_encoded(data::catalogue::load_encoded(name, division));
  Examples out{data::catalogue::load(name, division), {}};
  if (recipe.data.flag("normalize")) out.preprocess.normalizer = fit_normalizer(out.splits.train);
  return out;
}

constexpr Source sources[] = {
    {"name", load_catalogue},
    {"csv", [](const Recipe& recipe,
               const std::string& path) { return of_table(recipe, data::read_csv(data_path(recipe, path).string())); }},
    {"npz",
     [](const Recipe& recipe, const std::string& path) {
       return of_arrays(recipe, data::read_npz_dataset(data_path(recipe, path).string()));
     }},
    {"idx",
     [](const Recipe& recipe, const std::string& path) {
       data::Dataset training = idx_part(data_path(recipe, path), "train");
       data::Dataset test = idx_part(data_path(recipe, path), "t10k", training.classes);
       return of_arrays(recipe, {std::move(training), {}, std::move(test)});
     }},
    {"cifar", [](const Recipe& recipe,
                 const std::string& path) { return of_arrays(recipe, data::read_cifar10(data_path(recipe, path))); }},
    {"images", of_images},
    {"sounds", [](const Recipe& recipe,
                  const std::string& path) { return load_sound_examples(recipe, data_path(recipe, path).string()); }},
    {"go", load_go_examples},
    {"speech", load_spoken_examples},
    {"text", [](const Recipe& recipe,
                const std::string& path) { return load_text_examples(recipe, data_path(recipe, path).string()); }},
    {"dialogue",
     [](const Recipe& recipe, const std::string& value) {
       return load_conversation_examples(recipe, conversation_paths(recipe, value));
     }},
    {"table", [](const Recipe& recipe, const std::string& rows) {
       return of_table(recipe, data::parse_csv(rows, recipe.path.string() + " [data] table"));
     }}};

// The task and the data mean the same by a target.
void check_targets(const Recipe& recipe, const data::Dataset& training) {
  const TaskKind& task = find_task(recipe.task);
  const bool classes = training.targets && training.targets.dtype() == DType::i32;
  if (classes != task.classes)
    throw UsageError(recipe.data.at(), text("the task '", task.name, "' wants ", task.classes ? "classes" : "numbers",
                                            " as targets, the data have ", classes ? "classes" : "numbers",
                                            "; did you mean task = \"", task.classes ? "regress" : "classify", "\"?"));
  const bool transcripts = classes && training.targets.shape().rank() == 2 && training.row_type().dtype == DType::f32;
  if (transcripts != (task.default_loss == nn::Ctc::name))
    throw UsageError(recipe.data.at(), text("the task '", task.name, "' wants ",
                                            transcripts ? "one class for each example" : "recordings with transcripts",
                                            ", the data have ", transcripts ? "transcripts" : "none",
                                            transcripts ? "; did you mean task = \"transcribe\"?"
                                                        : "; did you mean [data] speech = \"...\"?"));
  if (transcripts) return;
  const bool text_data = training.source && training.row_type().dtype == DType::i32;
  if (text_data != task.sequences)
    throw UsageError(recipe.data.at(), text("the task '", task.name, "' wants ",
                                            task.sequences ? "a text" : "one target for each example",
                                            ", the data are ", text_data ? "a text" : "no text",
                                            "; did you mean task = \"", text_data ? "language" : "classify", "\"?"));
}

}  // namespace

Examples load_examples(const Recipe& recipe) {
  for (const Source& source : sources) {
    const std::string& value = recipe.data.word(source.key);
    if (value.empty()) continue;
    Examples out = source.load(recipe, value);
    check_targets(recipe, out.splits.train);
    if (out.preprocess.sound_rate == 0 && sound_augment(recipe).any())
      throw UsageError(recipe.augment.at(),
                       "[augment]: gain, speed, delay and noise are for sounds, and the data are none");
    out.preprocess.input = out.splits.train.row_type();
    out.preprocess.classes = out.splits.train.classes;
    return out;
  }
  throw UsageError(recipe.data.at(), "[data] names no data");
}

data::ImageSize image_size(const Preprocess& preprocess) {
  const Shape& shape = preprocess.input.shape;
  if (preprocess.input.dtype != DType::u8 || shape.rank() < 2 || shape.rank() > 3)
    fail(text("the run takes ", preprocess.input, ", which are no images"));
  const bool grey = shape.rank() == 2 || shape[2] == 1;
  return {shape[0], shape[1], grey ? 1 : shape[2],
          preprocess.fit.value_or(grey ? data::FitMode::stretch : data::FitMode::crop)};
}

namespace {

// The run's own classes, by name; a folder need not have all.
data::Dataset labelled_like(const Preprocess& preprocess, data::Dataset data, const std::string& path) {
  for (int32_t& label : data.targets.as<int32_t>()) {
    const std::string& name = data.classes[static_cast<size_t>(label)];
    const auto at = std::ranges::find(preprocess.classes, name);
    if (at == preprocess.classes.end())
      fail(text(path, ": the run knows no class '", name, "'", did_you_mean(name, preprocess.classes)));
    label = static_cast<int32_t>(at - preprocess.classes.begin());
  }
  data.classes = preprocess.classes;
  return data;
}

data::Dataset images_like(const Preprocess& preprocess, const std::string& path) {
  const data::ImageList list = data::list_images(path);
  constexpr int64_t memory = int64_t{1} << 32;
  const data::ImageFiles& files = list.test.size() > 0 ? list.test : list.train;
  return labelled_like(preprocess, data::load_images(list, files, image_size(preprocess), memory), path);
}

}  // namespace

data::Dataset load_examples_like(const Preprocess& preprocess, const TaskKind& task, const std::string& path) {
  if (!fs::exists(path)) throw UsageError(text("there is no file or folder ", path, " to evaluate on"));
  if (preprocess.encoder) return preprocess.encoder->encode(data::read_csv(path, preprocess.encoder->reading()));
  data::Dataset out;
  if (preprocess.sound_rate > 0) return labelled_like(preprocess, load_sounds_like(preprocess, path), path);
  if (task.classes && (data::holds_images(path) || path.ends_with(".csv"))) return images_like(preprocess, path);
  if (data::holds_cifar10(path)) {
    data::Splits splits = data::read_cifar10(path);
    out = splits.test.size() > 0 ? splits.test : splits.train;
  } else if (fs::is_directory(path)) {
    out = idx_part(path, "t10k", preprocess.classes);
  } else {
    data::Splits splits = data::read_npz_dataset(path);
    out = splits.test.size() > 0 ? splits.test : splits.train;
  }
  const Type type{out.inputs.dtype(), out.inputs.shape().without(0)};
  if (type != preprocess.input) fail(text(path, ": its examples are ", type, ", the run's are ", preprocess.input));
  if (task.classes) data::check_labels(out.targets, static_cast<int64_t>(preprocess.classes.size()), path);
  out.classes = preprocess.classes;
  return out;
}

}  // namespace descent::tasks
