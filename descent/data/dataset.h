// Examples in memory, and their division into training, validation and test parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/core/array.h"

namespace descent::data {

// Rows that are made when they are wanted, since all of them would not fit in memory.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual Type row_type() const = 0;
  virtual int64_t size() const = 0;

  // Makes a row, of row_type().bytes(). Called by several threads at once; fails naming what cannot be read.
  virtual void read(int64_t row, std::span<std::byte> out) const = 0;

  // Makes a row as training shows it, changed in ways that a source knows best, by a key. What its target says may
  // change with it (a board is mirrored, and so is the move on it): `target` is the batch's row of targets, holding the
  // data set's; it is empty if there are none. Here, nothing is changed.
  virtual void vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const;

  // Rows of different lengths, padded to row_type(): how many elements of the first axis are enough for any variation
  // of this row. Batches are cut to what is enough for all their rows, which read() and vary() see by the size of
  // `out`; only few different numbers should occur, since each is a program. Here, all of the axis.
  virtual int64_t room(int64_t row) const;
};

// N examples: inputs u8 [N,H,W] or [N,H,W,C] (images) or f32 [N,F] (tables); targets i32 [N] (class indices) or
// f32 [N,K] (numbers), or no array where they are not known.
struct Dataset {
  Array inputs;
  Array targets;
  std::vector<std::string> classes;              // a name each class; empty for numbers
  std::vector<std::string> features;             // a name each input column; empty for images
  std::shared_ptr<const RowSource> source = {};  // instead of the inputs, which are then no array

  int64_t size() const { return source ? source->size() : inputs ? inputs.shape()[0] : 0; }
  bool is_classification() const { return !classes.empty(); }
  Type row_type() const;  // of one example's input

  Dataset rows(int64_t begin, int64_t end) const;  // shares the bytes
  Dataset spread(int64_t most) const;              // itself, or so many of its rows, spread evenly
  Dataset select(
      std::span<const int64_t> indices) const;  // copies the rows, in that order; a source's are still not made

  // The inputs of some rows, one after the other in an array [end - begin,...]: a view of `inputs`, or made by all
  // threads, and cut to what is enough for them.
  Array read_inputs(int64_t begin, int64_t end) const;
};

struct Splits {
  Dataset train, validation, test;
};

// Row numbers of a division, ascending in each part.
struct SplitIndices {
  std::vector<int64_t> train, validation, test;
};

// What part of the rows each set gets; the training part gets the rest.
struct Fractions {
  double validation = 0.15;
  double test = 0.15;
};

// Rows `indices` of axis 0, copied; fails if one does not exist.
Array select_rows(const Array& array, std::span<const int64_t> indices);

// Divides rows at random by `seed`. With `strata` (a class a row) each part has each class in its share, to within one
// row; without it, rows are divided as they come. The training part keeps at least one row of each class. Fails if a
// fraction is negative, or a part with a fraction or the training part would be empty.
SplitIndices split_indices(int64_t rows, std::span<const int32_t> strata, Fractions fractions, uint64_t seed);

// The same on a data set, stratified by its classes if it has some.
Splits split(const Dataset& data, Fractions fractions, uint64_t seed);

// Moves a share of the training rows to the validation part, which must be empty.
void hold_out_validation(Splits& splits, double fraction, uint64_t seed);

// A classification data set from inputs [N,...] and integer labels [N] (u8, i32 or u32; [N,1] too). Fails naming
// `source` and the row if a label is outside the classes, or the numbers of rows differ.
Dataset labelled(Array inputs, const Array& labels, std::vector<std::string> classes, const std::string& source);

// Fails naming `source`, the row and the label if one of the integers [N,..] is not 0 to classes - 1.
void check_labels(const Array& labels, int64_t classes, const std::string& source);

// One more than the greatest of the labels: so many classes have numbers. Fails naming `source` if that is more than a
// million, since such numbers are no labels.
int64_t count_classes(const Array& labels, const std::string& source);

// "0", "1", ..., one name a class.
std::vector<std::string> numbered_classes(int64_t count);

}  // namespace descent::data
