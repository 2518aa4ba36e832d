#include "descent/tasks/predict.h"

#include <algorithm>
#include <filesystem>

#include "descent/base/text.h"
#include "descent/data/csv.h"
#include "descent/data/idx.h"
#include "descent/data/image.h"
#include "descent/tasks/language.h"
#include "descent/tasks/sounds.h"
#include "descent/tasks/transcribe.h"

namespace descent::tasks {

namespace fs = std::filesystem;

namespace {

// Raw inputs with where each came from.
struct Inputs {
  Array values;
  std::vector<std::string> sources;
};

std::vector<Prediction> answers(const Run& run, const Inputs& inputs) {
  const Array outputs = train::predict(*run.net, inputs.values, run.evaluate_options());
  const int64_t columns = outputs.elements() / outputs.shape()[0];
  const data::TableEncoder* encoder = run.preprocess.encoder ? &*run.preprocess.encoder : nullptr;
  std::vector<Prediction> out;
  for (size_t row = 0; row < inputs.sources.size(); ++row)
    out.push_back({inputs.sources[row],
                   {},
                   run.task().answer(outputs.as<float>().subspan(row * columns, columns), run.loss,
                                     run.preprocess.classes, encoder)});
  return out;
}

// --- images ---

bool reads_digits(const Preprocess& preprocess) {
  return preprocess.input == Type{DType::u8, {28, 28}} && preprocess.classes == data::numbered_classes(10);
}

Array prepared(const Preprocess& preprocess, const std::string& source) {
  if (reads_digits(preprocess)) return data::image_to_digit(data::read_image(source), source);
  const data::ImageSize size = image_size(preprocess);
  return data::fitted(data::read_image(source, size.enough()), size).reshaped(preprocess.input.shape);
}

Array read_image(const Preprocess& preprocess, const std::string& source) {
  if (const auto item = data::item_address(source); item && !fs::exists(source)) return data::read_idx_item(*item);
  if (!fs::exists(source)) fail(text("there is no image ", source, " (and it is no FILE:NUMBER of an idx file)"));
  return prepared(preprocess, source);
}

Prediction predict_image(const Run& run, const std::string& source) {
  const Array image = read_image(run.preprocess, source);
  if (image.type() != run.preprocess.input)
    fail(text(source, ": the run takes ", run.preprocess.input, ", this is ", image.type()));
  Prediction out = answers(run, {image.reshaped(run.preprocess.batch(1).shape), {source}}).front();
  if (image.shape().rank() == 2 && image.dtype() == DType::u8) out.image = image;
  return out;
}

// --- tables ---

// "a=1,b=x" as a table of one row: "a,b" and "1,x".
std::string table_text(const std::string& assignments) {
  std::string names, values;
  size_t begin = 0;
  while (begin <= assignments.size()) {
    const size_t end = std::min(assignments.find(',', begin), assignments.size());
    const std::string part = assignments.substr(begin, end - begin);
    const size_t equals = part.find('=');
    if (equals == std::string::npos) fail(text("'", part, "' in ", assignments, " is not NAME=VALUE"));
    names += (names.empty() ? "" : ",") + part.substr(0, equals);
    values += (values.empty() ? "" : ",") + part.substr(equals + 1);
    begin = end + 1;
  }
  return names + "\n" + values + "\n";
}

data::Table read_table(const Preprocess& preprocess, const std::string& source) {
  data::CsvOptions options = preprocess.encoder->reading();
  if (fs::exists(source)) return data::read_csv(source, options);
  if (source.find('=') == std::string::npos)
    fail(text("there is no file ", source, " (and it is no row written as NAME=VALUE,NAME=VALUE)"));
  options.header = data::Header::present;
  options.delimiter = ',';
  return data::parse_csv(table_text(source), source, options);
}

std::vector<Prediction> predict_table(const Run& run, const std::string& source) {
  const data::Table table = read_table(run.preprocess, source);
  Inputs inputs{run.preprocess.encoder->inputs(table), {}};
  const bool file = fs::exists(source);
  for (const int64_t line : table.lines) inputs.sources.push_back(file ? text(source, ":", line) : source);
  return answers(run, inputs);
}

Prediction predict_sound(const Run& run, const std::string& source) {
  const Array sound = read_sound(run.preprocess, source);
  return answers(run, {sound.reshaped(run.preprocess.batch(1).shape), {source}}).front();
}

}  // namespace

std::vector<Prediction> predict(const Run& run, const std::vector<std::string>& inputs) {
  if (is_language(run.preprocess))
    throw UsageError(text(run.directory.string(), " was trained on text; descent generate lets it go on with one"));
  if (transcribes(run.recipe)) throw UsageError(text(run.directory.string(), " answers with transcripts"));
  std::vector<Prediction> out;
  for (const std::string& source : inputs) {
    if (run.preprocess.encoder) {
      std::ranges::move(predict_table(run, source), std::back_inserter(out));
    } else if (run.preprocess.sound_rate > 0) {
      out.push_back(predict_sound(run, source));
    } else if (run.preprocess.input.shape.rank() >= 2) {
      out.push_back(predict_image(run, source));
    } else {
      fail(text("this run was trained on vectors ", run.preprocess.input,
                " from a file of arrays; evaluate it on one with --data FILE.npz"));
    }
  }
  return out;
}

std::string drawn(const Array& image) {
  const int64_t height = image.shape()[0], width = image.shape()[1];
  const std::span<const uint8_t> pixels = image.as<uint8_t>();
  const auto ink = [&](int64_t y, int64_t x) { return y < height && pixels[static_cast<size_t>(y * width + x)] > 100; };
  std::string out;
  for (int64_t y = 0; y < height; y += 2) {
    std::string line;
    for (int64_t x = 0; x < width; ++x) line += ink(y, x) ? (ink(y + 1, x) ? "█" : "▀") : (ink(y + 1, x) ? "▄" : " ");
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  return out;
}

}  // namespace descent::tasks
