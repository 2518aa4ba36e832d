#include "descent/data/labelled_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <tuple>

#include "descent/base/hash.h"
#include "descent/base/text.h"
#include "descent/data/csv.h"
#include "descent/data/file.h"
#include "descent/data/random.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

// --- what files there are ---

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool has_ending(const fs::path& path, const FileKind& kind) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kind.endings, extension) != kind.endings.end();
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code problem;
  fs::directory_iterator entries(folder, problem);
  if (problem) fail(text(folder.string(), ": the folder cannot be read: ", problem.message()));
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : entries)
    if (!is_hidden(entry.path())) out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> out = sorted_entries(folder);
  std::erase_if(out, [](const fs::path& path) { return !fs::is_directory(path); });
  return out;
}

std::vector<fs::path> files_in(const fs::path& folder, const FileKind& kind) {
  std::vector<fs::path> out = sorted_entries(folder);
  std::erase_if(out, [&](const fs::path& path) { return !has_ending(path, kind) || !fs::is_regular_file(path); });
  return out;
}

// "*.png, *.jpg or *.jpeg".
std::string wanted_names(const FileKind& kind) {
  std::string out;
  for (size_t i = 0; i < kind.endings.size(); ++i)
    out += text(i == 0 ? "" : i + 1 == kind.endings.size() ? " or " : ", ", "*", kind.endings[i]);
  return out;
}

void check_classes(const std::string& source, const std::vector<std::string>& classes) {
  if (classes.size() == 1)
    fail(text(source, ": only one class (", classes[0], "), and telling classes apart needs at least two"));
}

// The class folders of a part.
std::vector<std::string> class_names(const fs::path& root, const FileKind& kind) {
  std::vector<std::string> out;
  for (const fs::path& folder : folders_in(root)) out.push_back(folder.filename().string());
  if (out.empty()) {
    const bool loose = !files_in(root, kind).empty();
    fail(text(root.string(), ": ", loose ? text(kind.many, ", but no class folders") : "no class folders", "; ",
              kind.many, " are expected as ", (root / "CLASS" / text("NAME", kind.endings[0])).string(), " (",
              wanted_names(kind), ")"));
  }
  return out;
}

LabelledFiles files_of(const fs::path& root, const FileList& list, const FileKind& kind) {
  LabelledFiles out;
  for (const std::string& name : class_names(root, kind)) {
    const auto at = std::ranges::find(list.classes, name);
    if (at == list.classes.end())
      fail(text((root / name).string(), ": the class '", name, "' is not in the training part",
                did_you_mean(name, list.classes)));
    const std::vector<fs::path> files = files_in(root / name, kind);
    if (files.empty())
      fail(text((root / name).string(), ": a class folder without ", kind.many, " (", wanted_names(kind), ")"));
    for (const fs::path& file : files) out.paths.push_back(file.string());
    out.labels.resize(out.paths.size(), static_cast<int32_t>(at - list.classes.begin()));
  }
  return out;
}

LabelledFiles files_of_first(const fs::path& root, std::initializer_list<const char*> names, const FileList& list,
                             const FileKind& kind) {
  for (const char* name : names)
    if (fs::is_directory(root / name)) return files_of(root / name, list, kind);
  return {};
}

FileList list_folder(const fs::path& root, const FileKind& kind) {
  FileList out;
  out.source = root.string();
  const bool parts = fs::is_directory(root / "train") && !folders_in(root / "train").empty();
  const fs::path training = parts ? root / "train" : root;
  out.classes = class_names(training, kind);
  out.train = files_of(training, out, kind);
  check_classes(training.string(), out.classes);
  if (!parts) return out;
  out.validation = files_of_first(root, {"validation", "val", "valid"}, out, kind);
  out.test = files_of_first(root, {"test"}, out, kind);
  return out;
}

// --- a table of files ---

const Column& column_of(const Table& table, std::span<const std::string_view> names, const FileKind& kind) {
  for (const std::string_view name : names)
    if (const Column* column = table.find(name)) return *column;
  const std::vector<std::string> known = table.names();
  fail(text(table.source, ": a table of ", kind.many, " needs a column '", names[0], "' (it has ", join(known, ", "),
            ")"));
}

std::string cell(const Table& table, const Column& column, int64_t row) {
  if (column.is_missing(row)) fail(text(table.place(row, column.name), ": the cell is empty"));
  return column.kind == ColumnKind::category ? column.category(row) : number_text(column.values[row]);
}

LabelledFiles& part_called(FileList& list, const std::string& word, const std::string& place) {
  if (word == "train" || word == "training") return list.train;
  if (word == "validation" || word == "val" || word == "valid") return list.validation;
  if (word == "test") return list.test;
  fail(text(place, ": '", word, "' is no part of a data set; the parts are train, validation and test"));
}

FileList list_table(const fs::path& path, const FileKind& kind) {
  const std::array<std::string_view, 4> path_names{"path", "file", "filename", kind.one};
  static constexpr std::array<std::string_view, 2> label_names{"label", "class"};
  const Table table = read_csv(path.string(), {.header = Header::present});
  const Column &files = column_of(table, path_names, kind), &labels = column_of(table, label_names, kind);
  const Column* const parts = table.find("split");
  FileList out;
  out.source = path.string();
  std::map<std::string, int32_t> numbers;
  for (int64_t row = 0; row < table.rows(); ++row) numbers[cell(table, labels, row)] = 0;
  for (auto& [name, number] : numbers) {
    number = static_cast<int32_t>(out.classes.size());
    out.classes.push_back(name);
  }
  for (int64_t row = 0; row < table.rows(); ++row) {
    LabelledFiles& part =
        parts == nullptr ? out.train : part_called(out, cell(table, *parts, row), table.place(row, "split"));
    part.paths.push_back((path.parent_path() / cell(table, files, row)).string());
    part.labels.push_back(numbers[cell(table, labels, row)]);
  }
  check_classes(out.source, out.classes);
  std::vector<int64_t> counts(out.classes.size());
  for (const int32_t label : out.train.labels) ++counts[static_cast<size_t>(label)];
  for (size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0) fail(text(out.source, ": the class '", out.classes[c], "' is not in the training part"));
  return out;
}

// --- division by content ---

// Of the file's size and its beginning, which for photos and sounds is different even where the size is not.
uint64_t content_key(const std::string& path) {
  constexpr size_t most = 1 << 16;
  uint64_t size = 0;
  const io::Descriptor file = io::open_regular(path, size);
  std::vector<std::byte> bytes(std::min<uint64_t>(size, most));
  read_fully(file, path, bytes);
  uint64_t key = size;
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
    key = hash_mix(key, word);
  }
  return key;
}

struct Keyed {
  uint64_t key;
  int64_t row;
  friend auto operator<=>(const Keyed&, const Keyed&) = default;
};

// How many of a class's files, sorted by key, go to a part: its share, the rounding carried on to the next class, not
// parting doubles, and leaving one file.
size_t share_of(std::span<const Keyed> files, double fraction, double& carry) {
  const double exact = fraction * static_cast<double>(files.size()) + carry;
  auto count = static_cast<size_t>(std::clamp(std::floor(exact + 0.5), 0.0, static_cast<double>(files.size()) - 1));
  while (count > 0 && count < files.size() && files[count].key == files[count - 1].key) ++count;
  if (count == files.size()) count = 0;  // all are doubles of one
  carry = exact - static_cast<double>(count);
  return count;
}

// A list of files with the keys of their contents.
struct KeyedFiles {
  LabelledFiles files;
  std::vector<uint64_t> keys;
};

LabelledFiles take_share(KeyedFiles& training, size_t classes, double fraction, uint64_t seed) {
  std::vector<uint64_t> keys;
  for (const uint64_t key : training.keys) keys.push_back(random_key(seed, key));
  const std::vector<bool> moves = choose_share(keys, training.files.labels, classes, fraction);
  LabelledFiles part;
  KeyedFiles rest;
  for (size_t row = 0; row < moves.size(); ++row) {
    LabelledFiles& to = moves[row] ? part : rest.files;
    to.paths.push_back(std::move(training.files.paths[row]));
    to.labels.push_back(training.files.labels[row]);
    if (!moves[row]) rest.keys.push_back(training.keys[row]);
  }
  training = std::move(rest);
  return part;
}

}  // namespace

std::vector<bool> choose_share(std::span<const uint64_t> keys, std::span<const int32_t> labels, size_t classes,
                               double fraction) {
  std::vector<std::vector<Keyed>> by_class(classes);
  for (size_t row = 0; row < keys.size(); ++row)
    by_class.at(static_cast<size_t>(labels[row])).push_back({keys[row], static_cast<int64_t>(row)});
  std::vector<bool> chosen(keys.size());
  double carry = 0;
  for (std::vector<Keyed>& files : by_class) {
    if (files.empty()) continue;
    std::ranges::sort(files);
    for (size_t i = 0, count = share_of(files, fraction, carry); i < count; ++i) chosen[files[i].row] = true;
  }
  return chosen;
}

FileList list_files(const fs::path& path, const FileKind& kind) {
  if (fs::is_directory(path)) return list_folder(path, kind);
  if (!fs::exists(path)) fail(text("there is no folder or table of ", kind.many, " ", path.string()));
  return list_table(path, kind);
}

bool holds_files(const fs::path& path, const FileKind& kind) {
  if (!fs::is_directory(path)) return false;
  const fs::path root = fs::is_directory(path / "train") ? path / "train" : path;
  return std::ranges::any_of(folders_in(root), [&](const fs::path& folder) { return !files_in(folder, kind).empty(); });
}

void divide_files(FileList& list, Fractions fractions, uint64_t seed, const FileKind& kind) {
  const bool test = fractions.test > 0 && list.test.size() == 0;
  const bool validation = fractions.validation > 0 && list.validation.size() == 0;
  if (!test && !validation) return;
  const auto before = static_cast<double>(list.train.size());
  KeyedFiles training{std::move(list.train), {}};
  for (const std::string& path : training.files.paths) training.keys.push_back(content_key(path));
  // Keys of their own, so that no other use of the seed draws the same.
  if (test) list.test = take_share(training, list.classes.size(), fractions.test, random_key(seed, 0x696d61676573));
  const double left = static_cast<double>(training.files.size()) / before;
  const double share = std::min(0.99, fractions.validation / left);  // the fraction is of all files
  if (validation) list.validation = take_share(training, list.classes.size(), share, random_key(seed, 1));
  list.train = std::move(training.files);
  for (const auto& [wanted, part, fraction, name] :
       {std::tuple{test, &list.test, fractions.test, "test"},
        {validation, &list.validation, fractions.validation, "validation"}})
    if (wanted && part->size() == 0)
      fail(text(list.source, ": too few ", kind.many, " for a ", name, " part of ", fraction));
}

}  // namespace descent::data
