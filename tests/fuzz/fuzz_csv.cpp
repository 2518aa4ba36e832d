// Any text as a CSV file under options that the first byte chooses. A table that is read is encoded to predict its last
// column, and the encoder must come back from its JSON the same.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "descent/base/error.h"
#include "descent/data/table_encoder.h"

namespace {

using namespace descent;
using namespace descent::data;

CsvOptions options_from(uint8_t choice) {
  constexpr std::array delimiters{'\0', ',', ';', '\t'};
  constexpr std::array headers{Header::automatic, Header::present, Header::absent, Header::automatic};
  CsvOptions options{.delimiter = delimiters[choice & 3], .header = headers[choice >> 2 & 3]};
  if (choice & 16) options.comment = '\0';
  if (choice & 32) options.columns.push_back({"a", ColumnKind::category});
  if (choice & 64) options.columns.push_back({"b", ColumnKind::number, true});
  return options;
}

void check_shape(const Table& table) {
  for (const Column& column : table.columns) {
    if (static_cast<int64_t>(column.values.size()) != table.rows()) std::abort();
    for (int64_t row = 0; row < table.rows(); ++row)
      if (column.kind == ColumnKind::category && !column.is_missing(row)) column.categories.at(column.values[row]);
  }
}

void encode(const Table& table, uint8_t choice) {
  const EncoderOptions options{.target = table.columns.back().name,
                               .kind = choice & 128 ? TargetKind::classes : TargetKind::automatic,
                               .max_categories = 1 + choice % 5};
  const TableEncoder encoder = TableEncoder::fit(table, options);
  const Dataset data = encoder.encode(table);
  if (data.inputs.shape()[1] != static_cast<int64_t>(encoder.input_names().size())) std::abort();
  const std::string json = encoder.to_json();
  if (TableEncoder::from_json(json).to_json() != json) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    const Table table = parse_csv({reinterpret_cast<const char*>(data) + 1, size - 1}, "input", options_from(data[0]));
    check_shape(table);
    encode(table, data[0]);
  } catch (const Error&) {
  }
  return 0;
}
