// The rows of cells in a CSV text, before any cell has a meaning: for csv.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace descent::data {

struct CsvRecord {
  int64_t line = 0;  // that it begins on
  std::vector<std::string_view> cells;
};

// Reads records one after the other. Cells are views of `text`, which is changed where a quoted cell holds "" (the text
// only gets shorter). Fails naming the line of a quote that is not closed or has text after it.
class CsvRecords {
 public:
  CsvRecords(std::string& text, const std::string& name, char delimiter, char comment);

  bool next(CsvRecord& record);  // false at the end

 private:
  bool at_end() const { return at_ >= text_.size(); }
  bool at_line_end() const;
  void skip_line_end();
  void skip_blanks();
  bool skip_empty_or_comment();
  std::string_view quoted_cell(size_t column);
  std::string_view plain_cell();

  std::string& text_;
  const std::string& name_;
  char delimiter_, comment_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

// The delimiter among , ; and tab that divides the first records of `text` into the most cells, the same number in
// each.
char detect_delimiter(const std::string& text, const std::string& name, char comment);

}  // namespace descent::data
