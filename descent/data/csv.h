// Tables of typed columns, and reading them from CSV files (RFC 4180 and what else is met under that name).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace descent::data {

enum class ColumnKind { number, category };
std::string to_text(ColumnKind kind);  // "number", "category"

// One column of a table.
struct Column {
  std::string name = {};
  ColumnKind kind = ColumnKind::number;
  std::vector<double> values = {};           // a row each: the number, or the index of its category; NaN if missing
  std::vector<std::string> categories = {};  // sorted; empty for numbers

  bool is_missing(int64_t row) const { return values[row] != values[row]; }
  const std::string& category(int64_t row) const { return categories[static_cast<size_t>(values[row])]; }
};

// A table, and where each row came from.
struct Table {
  std::string source;          // the file, as errors call it
  std::vector<int64_t> lines;  // the line in `source` that each row begins on, counted from 1
  std::vector<Column> columns;
  bool has_header = false;  // the names are the file's own

  int64_t rows() const { return static_cast<int64_t>(lines.size()); }
  std::vector<std::string> names() const;
  const Column* find(std::string_view name) const;                // nullptr if there is none
  const Column& column(std::string_view name) const;              // fails with the nearest name
  Table select(std::span<const int64_t> indices) const;           // those rows, in that order; all categories are kept
  std::string place(int64_t row, std::string_view column) const;  // "iris.csv:12: column 'species'"
};

// What is known of a column before the file is read.
struct ColumnSpec {
  std::string name = {};
  ColumnKind kind = ColumnKind::number;
  bool optional = false;  // the file may lack it, as new rows lack the target
};

enum class Header { automatic, present, absent };

struct CsvOptions {
  char delimiter = '\0';                 // '\0': whichever of , ; and tab divides the first lines evenly
  Header header = Header::automatic;     // automatic: the first row is one if it has no number and names nothing twice
  char comment = '#';                    // lines that begin with it are skipped; '\0': none
  std::vector<ColumnSpec> columns = {};  // by name, or by position where the file has no header; others are inferred
};

// Reads a CSV file. Cells may be quoted (then "" is a quote, and line ends and delimiters are text) and have blanks
// around them; lines end in LF, CRLF or CR; a UTF-8 byte-order mark is skipped, and so are empty lines. Empty cells, ?,
// NA, N/A, nan and null are missing. A column whose kind is not given is one of numbers if most of its cells are
// numbers and few (two, or one in twenty) are not; then the first that is none fails, as it does in a column given as
// number. Fails naming the file, line and column.
Table read_csv(const std::string& path, const CsvOptions& options = {});

// The same from text in memory; `name` is what errors call it.
Table parse_csv(std::string text, const std::string& name, const CsvOptions& options = {});

}  // namespace descent::data
