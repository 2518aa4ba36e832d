#include "descent/data/csv_records.h"

#include <algorithm>
#include <array>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::data {

CsvRecords::CsvRecords(std::string& text, const std::string& name, char delimiter, char comment)
    : text_(text), name_(name), delimiter_(delimiter), comment_(comment) {
  if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
}

bool CsvRecords::at_line_end() const { return text_[at_] == '\n' || text_[at_] == '\r'; }

void CsvRecords::skip_line_end() {
  if (at_end()) return;
  at_ += text_.compare(at_, 2, "\r\n") == 0 ? 2 : 1;
  ++line_;
}

void CsvRecords::skip_blanks() {
  while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t') && text_[at_] != delimiter_) ++at_;
}

bool CsvRecords::skip_empty_or_comment() {
  const size_t begin = at_;
  const bool comment = comment_ != '\0' && text_[at_] == comment_;
  if (comment)
    while (!at_end() && !at_line_end()) ++at_;
  else
    skip_blanks();
  if (at_end() || at_line_end()) {
    skip_line_end();
    return true;
  }
  at_ = begin;
  return false;
}

std::string_view CsvRecords::quoted_cell(size_t column) {
  const int64_t opened = line_;
  const size_t begin = ++at_;
  size_t to = begin;
  bool closed = false;
  for (; !at_end(); ++at_) {
    if (text_[at_] == '"') {
      ++at_;
      closed = at_end() || text_[at_] != '"';
      if (closed) break;
    }
    line_ += text_[at_] == '\n';
    text_[to++] = text_[at_];
  }
  if (!closed) fail(text(name_, ":", opened, ": the quote that opens cell ", column + 1, " is never closed"));
  skip_blanks();
  if (!at_end() && !at_line_end() && text_[at_] != delimiter_)
    fail(text(name_, ":", line_, ": text follows the closing quote of cell ", column + 1,
              " (a quote inside a quoted cell is written twice)"));
  return std::string_view(text_).substr(begin, to - begin);
}

std::string_view CsvRecords::plain_cell() {
  const size_t begin = at_;
  while (!at_end() && text_[at_] != delimiter_ && !at_line_end()) ++at_;
  size_t end = at_;
  while (end > begin && (text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
  return std::string_view(text_).substr(begin, end - begin);
}

bool CsvRecords::next(CsvRecord& record) {
  while (!at_end() && skip_empty_or_comment()) {
  }
  if (at_end()) return false;
  record.line = line_;
  record.cells.clear();
  for (;;) {
    skip_blanks();
    const bool quoted = !at_end() && text_[at_] == '"';
    record.cells.push_back(quoted ? quoted_cell(record.cells.size()) : plain_cell());
    if (at_end() || text_[at_] != delimiter_) break;
    ++at_;
  }
  skip_line_end();
  return true;
}

namespace {

struct Division {
  size_t cells = 0;
  bool even = false;
};

Division divide(std::string text, const std::string& name, char delimiter, char comment) {
  constexpr int records_looked_at = 20;
  CsvRecords records(text, name, delimiter, comment);
  CsvRecord record;
  Division out{0, true};
  try {
    for (int i = 0; i < records_looked_at && records.next(record); ++i) {
      if (i > 0 && record.cells.size() != out.cells) out.even = false;
      if (i == 0) out.cells = record.cells.size();
    }
  } catch (const Error&) {  // quotes do not fit this delimiter
    out.even = false;
  }
  return out;
}

}  // namespace

char detect_delimiter(const std::string& text, const std::string& name, char comment) {
  constexpr std::array candidates{',', ';', '\t'};
  constexpr size_t bytes_looked_at = 1 << 16;
  std::string front = text.substr(0, bytes_looked_at);
  if (front.size() < text.size()) front.resize(std::min(front.size(), front.rfind('\n') + 1));  // whole lines
  char best = candidates[0];
  Division most;
  for (const char candidate : candidates) {
    const Division division = divide(front, name, candidate, comment);
    const bool better = std::pair(division.even && division.cells > 1, division.cells) >
                        std::pair(most.even && most.cells > 1, most.cells);
    if (!better) continue;
    best = candidate;
    most = division;
  }
  return best;
}

}  // namespace descent::data
