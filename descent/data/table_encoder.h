// From a table of typed columns to the numbers that a net takes, as learnt from the training rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "descent/core/array.h"
#include "descent/data/csv.h"
#include "descent/data/dataset.h"

namespace descent::data {

enum class TargetKind { automatic, classes, number };

struct EncoderOptions {
  std::string target = {};                  // the column to predict
  TargetKind kind = TargetKind::automatic;  // automatic: classes for a category, or for at most 20 different integers
  std::vector<std::string> ignore = {};     // columns left out of the inputs
  int64_t max_categories = 64;              // of one column; the most frequent, the others share "other"
};

// How each column becomes inputs. It is fitted on training rows only and then applied to any rows:
// a number is standardised by the training mean and standard deviation, a missing one becomes the mean (0), and a
// column with missing cells in training gets an indicator input "age (missing)" of 0 or 1. A category becomes one-hot
// inputs "sex=male", with "sex (missing)" and "sex (other)" where training had such cells; a category that training
// never saw is "other", or all zeros where there is no such input. The target becomes a class index (classes sorted:
// names by text, numbers by value) or a number standardised by the training mean and standard deviation.
class TableEncoder {
 public:
  // One column as an input; a plain record, so that a report can show it.
  struct Feature {
    std::string column = {};
    ColumnKind kind = ColumnKind::number;
    double mean = 0, deviation = 1;            // numbers
    std::vector<std::string> categories = {};  // categories, in the order of their inputs
    bool missing = false, other = false;       // has an input for missing cells, for other categories
  };
  struct Target {
    std::string column = {};
    ColumnKind kind = ColumnKind::category;  // of the column in the file, which may hold numbers as class names
    std::vector<std::string> classes = {};   // empty for a number
    double mean = 0, deviation = 1;
  };

  // Fails naming file and column if the target does not exist, is missing in a row, or has one value only.
  static TableEncoder fit(const Table& training, const EncoderOptions& options);

  // Inputs f32 [N,F] of rows, found by column name; the target column is not needed. Fails naming file, line and
  // column.
  Array inputs(const Table& table) const;

  // Inputs and targets (i32 [N], or f32 [N,1] standardised). Fails naming file, line and column of a class that
  // training did not have, or of a missing target.
  Dataset encode(const Table& table) const;

  // What to read new rows of such a table with: the kind of each column, the target optional.
  CsvOptions reading() const;

  std::vector<std::string> input_names() const;
  int64_t input_count() const;
  bool is_classification() const { return !target_.classes.empty(); }
  const std::vector<Feature>& features() const { return features_; }
  const Target& target() const { return target_; }
  double target_number(double standardised) const { return standardised * target_.deviation + target_.mean; }

  std::string to_json() const;
  static TableEncoder from_json(const std::string& json);  // fails if it is not what to_json() gave

 private:
  std::vector<Feature> features_;
  Target target_;
};

// A table divided, the encoder fitted on its training part, and the parts encoded. Stratified if the target is a class.
struct EncodedTable {
  TableEncoder encoder;
  Splits splits;
};
EncodedTable encode_splits(const Table& table, const EncoderOptions& options, Fractions fractions, uint64_t seed);

}  // namespace descent::data
