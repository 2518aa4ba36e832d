#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>

#include "descent/base/error.h"
#include "descent/data/archive.h"
#include "descent/data/catalogue_supply.h"
#include "descent/data/cifar.h"

namespace descent::data::catalogue {

namespace {

std::string gunzip(std::string_view bytes, int64_t limit, std::string_view name) {
  constexpr int gzip_format = 16;
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + gzip_format) != Z_OK) fail("zlib cannot be started");
  std::string out(static_cast<size_t>(limit) + 1, '\0');  // one more, to see that there is more
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&stream, Z_FINISH);
  const size_t made = out.size() - stream.avail_out;
  inflateEnd(&stream);
  if (status != Z_STREAM_END) fail(fmt::format("{} does not unpack to at most {} bytes", name, limit));
  out.resize(made);
  return out;
}

// Calls `each` with every line but its end.
template <class Each>
void for_lines(std::string_view text, Each each) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string without_carriage_returns(std::string text) {
  std::erase(text, '\r');
  return text;
}

std::string_view rest_after_first_line(std::string_view text) {
  const size_t end = text.find('\n');
  return end == text.npos ? std::string_view{} : text.substr(end + 1);
}

// "5.1,3.5,1.4,0.2,0" with the class's name at its end.
std::string named_class(std::string_view line, const std::vector<std::string>& classes) {
  const size_t comma = line.rfind(',');
  size_t index = classes.size();
  if (comma != line.npos) std::from_chars(line.data() + comma + 1, line.data() + line.size(), index);
  if (index >= classes.size()) fail(fmt::format("the line '{}' does not end in a class", line.substr(0, 80)));
  return std::string(line.substr(0, comma + 1)) + classes[index];
}

// As Python prints a float: the shortest text that reads back alike, and "59.0" for a whole number.
std::string float_text(std::string_view cell) {
  double value = 0;
  if (std::from_chars(cell.data(), cell.data() + cell.size(), value).ec != std::errc{})
    fail(fmt::format("'{}' is not a number", cell.substr(0, 80)));
  char buffer[32];
  const std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

std::string diabetes_table(std::string_view data, std::string_view target, std::string_view header) {
  std::vector<std::string> targets;
  for_lines(target, [&](std::string_view line) { targets.push_back(float_text(line)); });
  std::string out = std::string(header) + "\n";
  size_t row = 0;
  for_lines(data, [&](std::string_view line) {
    while (!line.empty()) {
      const size_t end = std::min(line.find(' '), line.size());
      out += float_text(line.substr(0, end)) + ",";
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    out += (row < targets.size() ? targets[row] : "") + "\n";
    ++row;
  });
  return out;
}

}  // namespace

std::string as_is(std::span<const std::string> contents, const DataFile&) { return contents[0]; }

std::string unxzed(std::span<const std::string> contents, const DataFile& file) {
  return unpacked(contents[0], file.bytes, file.name + ".xz");
}

Form repacked(std::string archive, std::function<std::string(std::string_view name)> wanted) {
  return {{archive},
          [archive, wanted = std::move(wanted)](std::span<const std::string> contents, const DataFile& file) {
            std::vector<PackedFile> files;
            const FileLimits limits{.file_bytes = file.bytes, .total_bytes = 2 * file.bytes};
            each_file_in(
                contents[0], archive, [&](std::string_view name) { return !wanted(name).empty(); },
                [&](const std::string& name, std::string bytes) {
                  files.push_back({wanted(std::string_view(name).substr(archive.size() + 1)), std::move(bytes)});
                },
                limits);
            std::ranges::sort(files, {}, &PackedFile::name);
            return packed_tar(files);
          }};
}

std::string gunzipped(std::span<const std::string> contents, const DataFile& file) {
  return gunzip(contents[0], file.bytes, file.name + ".gz");
}

std::string with_header(std::string_view text, std::string_view header) {
  return std::string(header) + "\n" + without_carriage_returns(std::string(rest_after_first_line(text)));
}

Form other_header(std::string input, std::string header) {
  return {{std::move(input)}, [header = std::move(header)](std::span<const std::string> contents, const DataFile&) {
            return with_header(contents[0], header);
          }};
}

Form scikit_table(std::string input, std::string header, std::vector<std::string> classes) {
  return {{std::move(input)},
          [header = std::move(header), classes = std::move(classes)](std::span<const std::string> contents,
                                                                     const DataFile&) {
            const std::string plain = with_header(contents[0], header);
            std::string out = header + "\n";
            for_lines(rest_after_first_line(plain),
                      [&](std::string_view line) { out += named_class(line, classes) + "\n"; });
            return out;
          }};
}

Form scikit_digits(std::string input, std::string header) {
  return {{std::move(input)},
          [header = std::move(header)](std::span<const std::string> contents, const DataFile& file) {
            return header + "\n" + gunzip(contents[0], 2 * file.bytes, "the table of digits");
          }};
}

Form scikit_diabetes(std::string data, std::string target, std::string header) {
  return {{std::move(data), std::move(target)},
          [header = std::move(header)](std::span<const std::string> contents, const DataFile& file) {
            return diabetes_table(gunzip(contents[0], 2 * file.bytes, "the table of patients"),
                                  gunzip(contents[1], 2 * file.bytes, "the column of progressions"), header);
          }};
}

Form cifar10_sheet(std::string sheet, std::string labels, int64_t first_label) {
  return {{std::move(sheet), std::move(labels)},
          [first_label](std::span<const std::string> contents, const DataFile& file) {
            return cifar10_from_sheet(std::as_bytes(std::span(contents[0])), contents[1], first_label,
                                      file.name + "'s PNG sheet");
          }};
}

}  // namespace descent::data::catalogue
