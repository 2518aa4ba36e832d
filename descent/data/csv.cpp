#include "descent/data/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "descent/base/error.h"
#include "descent/base/text.h"
#include "descent/data/csv_records.h"
#include "descent/data/file.h"

namespace descent::data {

std::string to_text(ColumnKind kind) { return kind == ColumnKind::number ? "number" : "category"; }

std::vector<std::string> Table::names() const {
  std::vector<std::string> out;
  for (const Column& column : columns) out.push_back(column.name);
  return out;
}

const Column* Table::find(std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &Column::name);
  return found == columns.end() ? nullptr : &*found;
}

const Column& Table::column(std::string_view name) const {
  if (const Column* found = find(name)) return *found;
  const std::vector<std::string> all = names();
  fail(text(source, ": no column '", name, "'", did_you_mean(name, all), " (its columns: ", join(all, ", "), ")"));
}

Table Table::select(std::span<const int64_t> indices) const {
  Table out{source, {}, {}, has_header};
  for (const int64_t row : indices) {
    if (row < 0 || row >= rows()) fail(text(source, ": row ", row, " does not exist in a table of ", rows(), " rows"));
    out.lines.push_back(lines[row]);
  }
  for (const Column& column : columns) {
    out.columns.push_back({column.name, column.kind, {}, column.categories});
    for (const int64_t row : indices) out.columns.back().values.push_back(column.values[row]);
  }
  return out;
}

std::string Table::place(int64_t row, std::string_view column) const {
  return text(source, ":", lines[row], ": column '", column, "'");
}

namespace {

using Cells = std::vector<std::string_view>;

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_missing(std::string_view cell) {
  constexpr std::array<std::string_view, 6> spellings{"", "?", "na", "n/a", "nan", "null"};
  return std::ranges::any_of(spellings, [&](std::string_view s) { return equal_ignoring_case(cell, s); });
}

// A finite number, all of the cell; a leading plus is allowed.
std::optional<double> to_number(std::string_view cell) {
  if (cell.starts_with('+') && !cell.starts_with("+-")) cell.remove_prefix(1);
  double value = 0;
  const auto result = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (result.ptr != cell.data() + cell.size()) return std::nullopt;
  const bool underflow = result.ec == std::errc::result_out_of_range &&
                         cell.find_first_of("eE") != std::string_view::npos &&
                         cell.find("-", cell.find_first_of("eE")) != std::string_view::npos;
  if (underflow) return 0.0;
  return result.ec == std::errc() && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// The part of a cell that an error shows.
std::string shown(std::string_view cell) {
  constexpr size_t most = 40;
  return text("'", cell.substr(0, most), cell.size() > most ? "...'" : "'");
}

// The first byte that is not part of UTF-8 text, or npos. Surrogates and overlong forms pass: they harm nothing here.
size_t first_non_utf8(std::string_view csv) {
  for (size_t at = 0; at < csv.size();) {
    const auto lead = static_cast<unsigned char>(csv[at]);
    const size_t more = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : lead >> 3 == 30 ? 3 : 4;
    const std::string_view rest = csv.substr(at + 1, more);
    const bool follows =
        std::ranges::all_of(rest, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; });
    if (lead == 0 || more == 4 || rest.size() < more || !follows) return at;
    at += 1 + more;
  }
  return std::string_view::npos;
}

void check_text(const std::string& csv, const std::string& name) {
  if (csv.starts_with("\xff\xfe") || csv.starts_with("\xfe\xff"))
    fail(text(name, ": is UTF-16 text; save it as UTF-8"));
  const size_t bad = first_non_utf8(csv);
  if (bad == std::string::npos) return;
  const auto line = 1 + std::count(csv.begin(), csv.begin() + static_cast<int64_t>(bad), '\n');
  fail(text(name, ":", line, ": ",
            csv[bad] == 0 ? "not a text file: it holds a zero byte" : "not UTF-8 text; save it as UTF-8"));
}

std::vector<CsvRecord> read_records(std::string& csv, const std::string& name, const CsvOptions& options) {
  const char delimiter = options.delimiter ? options.delimiter : detect_delimiter(csv, name, options.comment);
  CsvRecords records(csv, name, delimiter, options.comment);
  std::vector<CsvRecord> out;
  for (CsvRecord record; records.next(record);) {
    out.push_back(record);
    const size_t cells = record.cells.size(), expected = out[0].cells.size();
    if (cells != expected)
      fail(text(name, ":", record.line, ": ", cells, cells == 1 ? " cell" : " cells", ", where line ", out[0].line,
                " has ", expected));
  }
  if (out.empty()) fail(text(name, ": holds no rows"));
  return out;
}

bool looks_like_header(const Cells& cells, const std::vector<ColumnSpec>& known) {
  for (const ColumnSpec& spec : known)
    if (std::ranges::find(cells, spec.name) != cells.end()) return true;
  // Rows of known columns hold a number somewhere, unless they have no number column: then only a known name tells.
  if (!known.empty() && std::ranges::find(known, ColumnKind::number, &ColumnSpec::kind) == known.end()) return false;
  std::set<std::string_view> seen;
  for (const std::string_view cell : cells)
    if (to_number(cell) || (is_missing(cell) && !cell.empty()) || (!cell.empty() && !seen.insert(cell).second))
      return false;
  return !seen.empty();
}

std::vector<std::string> header_names(const CsvRecord& header, const std::string& name) {
  std::vector<std::string> names;
  for (size_t i = 0; i < header.cells.size(); ++i) {
    names.emplace_back(header.cells[i].empty() ? text("column", i + 1) : std::string(header.cells[i]));
    const auto before = std::ranges::find(names.begin(), names.end() - 1, names.back());
    if (before != names.end() - 1)
      fail(text(name, ":", header.line, ": the header names two columns '", names.back(), "' (",
                before - names.begin() + 1, " and ", i + 1, ")"));
  }
  return names;
}

// Names by position for a file without a header: those that are known, with or without the optional ones.
std::vector<std::string> invented_names(size_t count, const std::vector<ColumnSpec>& known, const std::string& name) {
  std::vector<std::string> all, needed, numbered;
  for (const ColumnSpec& spec : known) {
    all.push_back(spec.name);
    if (!spec.optional) needed.push_back(spec.name);
  }
  if (all.size() == count) return all;
  if (!known.empty() && needed.size() == count) return needed;
  if (!known.empty())
    fail(text(name, ": ", count, " columns and no header, where ", needed.size(),
              " are expected: ", join(needed, ", ")));
  for (size_t i = 0; i < count; ++i) numbered.push_back(text("column", i + 1));
  return numbered;
}

// Numbers and other cells of a column that are not missing.
struct Census {
  int64_t numbers = 0, others = 0;
};

ColumnKind inferred_kind(const std::vector<CsvRecord>& records, size_t first, size_t column) {
  Census census;
  for (size_t row = first; row < records.size(); ++row) {
    const std::string_view cell = records[row].cells[column];
    if (!is_missing(cell)) ++(to_number(cell) ? census.numbers : census.others);
  }
  const int64_t slips = std::max<int64_t>(2, (census.numbers + census.others) / 20);
  const bool numbers = census.others == 0 || (census.numbers > census.others && census.others <= slips);
  return numbers ? ColumnKind::number : ColumnKind::category;
}

void fill_numbers(Column& column, const std::vector<CsvRecord>& records, size_t first, size_t index,
                  const Table& table) {
  for (size_t row = first; row < records.size(); ++row) {
    const std::string_view cell = records[row].cells[index];
    const std::optional<double> number = to_number(cell);
    if (!number && !is_missing(cell))
      fail(text(table.place(static_cast<int64_t>(row - first), column.name), " holds numbers, but here ", shown(cell),
                "; correct the cell, or read the column as a category"));
    column.values.push_back(number.value_or(std::numeric_limits<double>::quiet_NaN()));
  }
}

void fill_categories(Column& column, const std::vector<CsvRecord>& records, size_t first, size_t index) {
  std::map<std::string_view, double> codes;
  for (size_t row = first; row < records.size(); ++row)
    if (const std::string_view cell = records[row].cells[index]; !is_missing(cell)) codes[cell] = 0;
  for (auto& [category, code] : codes) {
    code = static_cast<double>(column.categories.size());
    column.categories.emplace_back(category);
  }
  for (size_t row = first; row < records.size(); ++row) {
    const auto found = codes.find(records[row].cells[index]);
    column.values.push_back(found == codes.end() ? std::numeric_limits<double>::quiet_NaN() : found->second);
  }
}

}  // namespace

Table parse_csv(std::string csv, const std::string& name, const CsvOptions& options) {
  check_text(csv, name);
  const std::vector<CsvRecord> records = read_records(csv, name, options);
  Table table;
  table.source = name;
  table.has_header = options.header == Header::present ||
                     (options.header == Header::automatic && looks_like_header(records[0].cells, options.columns));
  const std::vector<std::string> names = table.has_header
                                             ? header_names(records[0], name)
                                             : invented_names(records[0].cells.size(), options.columns, name);
  const size_t first = table.has_header ? 1 : 0;
  for (size_t row = first; row < records.size(); ++row) table.lines.push_back(records[row].line);
  for (size_t i = 0; i < names.size(); ++i) {
    const auto known = std::ranges::find(options.columns, names[i], &ColumnSpec::name);
    Column column{names[i], known != options.columns.end() ? known->kind : inferred_kind(records, first, i), {}, {}};
    if (column.kind == ColumnKind::number)
      fill_numbers(column, records, first, i, table);
    else
      fill_categories(column, records, first, i);
    table.columns.push_back(std::move(column));
  }
  return table;
}

Table read_csv(const std::string& path, const CsvOptions& options) {
  const Array file = read_to_array(path);
  return parse_csv(std::string(reinterpret_cast<const char*>(file.data()), file.bytes().size()), path, options);
}

}  // namespace descent::data
