// From the cache's files to arrays, through the readers of this room.
#include <fmt/format.h>

#include "descent/base/error.h"
#include "descent/data/catalogue.h"
#include "descent/data/cifar.h"
#include "descent/data/idx.h"
#include "descent/io/atomic_file.h"

namespace descent::data::catalogue {

namespace fs = std::filesystem;

namespace {

Dataset images(const Entry& entry, const fs::path& directory, const std::string& part) {
  const fs::path inputs = directory / (part + "-images-idx3-ubyte"), labels = directory / (part + "-labels-idx1-ubyte");
  return labelled(read_idx(inputs.string()), read_idx(labels.string()), entry.classes, labels.string());
}

// The census's columns; its files have no header.
CsvOptions adult_columns() {
  CsvOptions options{.delimiter = ',', .header = Header::absent, .comment = '|'};
  for (const char* name :
       {"age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship",
        "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"}) {
    const std::string_view column = name;
    const bool number = column == "age" || column == "fnlwgt" || column == "education_num" ||
                        column.starts_with("capital_") || column == "hours_per_week";
    options.columns.push_back({.name = name, .kind = number ? ColumnKind::number : ColumnKind::category});
  }
  return options;
}

// Without the full stop that ends each line of the census's test part only.
std::string without_full_stops(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i)
    if (!text.substr(i).starts_with(".\n")) out += text[i];
  return out;
}

std::string content(const fs::path& path) {
  const std::vector<std::byte> bytes = io::read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void require_table(const Entry& entry) {
  if (entry.kind != Kind::table) fail(fmt::format("the data set '{}' is no table", entry.name));
}

}  // namespace

Tables load_tables(std::string_view name, const Options& options) {
  const Entry& entry = find(name);
  require_table(entry);
  const fs::path directory = get(name, options);
  const std::string first = (directory / entry.files[0].name).string();
  if (entry.files.size() == 1) return {read_csv(first), {}};
  const std::string second = (directory / entry.files[1].name).string();
  return {read_csv(first, adult_columns()), parse_csv(without_full_stops(content(second)), second, adult_columns())};
}

EncodedTable load_encoded(std::string_view name, const Division& division, const Options& options) {
  const Entry& entry = find(name);
  const Tables tables = load_tables(name, options);
  const EncoderOptions encoding{.target = entry.target, .kind = entry.target_kind, .ignore = entry.ignore};
  if (tables.test.rows() == 0)
    return encode_splits(tables.training, encoding, {division.validation, division.test}, division.seed);
  EncodedTable encoded = encode_splits(tables.training, encoding, {division.validation, 0}, division.seed);
  encoded.splits.test = encoded.encoder.encode(tables.test);
  return encoded;
}

Splits load(std::string_view name, const Division& division, const Options& options) {
  const Entry& entry = find(name);
  if (entry.kind == Kind::table) return load_encoded(name, division, options).splits;
  if (entry.kind == Kind::text) fail(fmt::format("the data set '{}' is a text; data::text_splits() divides it", name));
  if (entry.kind == Kind::conversations)
    fail(fmt::format("the data set '{}' is conversations; data::read_conversations() reads them", name));
  if (entry.kind == Kind::speech)
    fail(fmt::format("the data set '{}' is speech; data::spoken_splits() makes examples of it", name));
  const fs::path directory = get(name, options);
  if (entry.kind == Kind::sounds) {
    const SoundOptions sounds{
        .names = entry.names, .fractions = {division.validation, division.test}, .seed = division.seed};
    return sound_splits(read_sounds((directory / entry.files.at(0).name).string(), sounds));
  }
  Splits splits = holds_cifar10(directory)
                      ? read_cifar10(directory)
                      : Splits{images(entry, directory, "train"), {}, images(entry, directory, "t10k")};
  if (division.validation > 0) hold_out_validation(splits, division.validation, division.seed);
  return splits;
}

}  // namespace descent::data::catalogue
