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

// Makes samples out of a compact form of them when they are wanted, in the data threads, so that millions fit in memory.
class SampleDecoder {
 public:
  virtual ~SampleDecoder() = default;
  virtual Type sample() const = 0;  // of one sample's input

  // From one row of the data set's inputs to one of a batch's. `target` is the batch's row of targets, already filled
  // with the data set's, and may be changed along (a board is mirrored, and the move on it); it is empty if there are
  // none. What it makes may depend on these and on `key` only, a function of the seed, the epoch and the row. Several
  // threads call it at once; it should allocate nothing.
  virtual void decode(std::span<const std::byte> row, std::span<std::byte> input, std::span<std::byte> target,
                      uint64_t key) const = 0;
};

// N examples: inputs u8 [N,H,W] or [N,H,W,C] (images) or f32 [N,F] (tables), or whatever rows a decoder makes such
// samples of; targets i32 [N] (class indices) or f32 [N,K] (numbers), or no array where they are not known.
struct Dataset {
  Array inputs;
  Array targets;
  std::vector<std::string> classes;   // a name each class; empty for numbers
  std::vector<std::string> features;  // a name each input column; empty for images
  std::shared_ptr<const SampleDecoder> decoder = {};  // null: the rows are the samples

  // Of one input as a batch has it, without the batch's axis.
  Type sample_type() const;

  // The samples themselves, made by the decoder with key 0; without a decoder, this data set.
  Dataset decoded() const;

  int64_t size() const { return inputs ? inputs.shape()[0] : 0; }
  bool is_classification() const { return !classes.empty(); }

  Dataset rows(int64_t begin, int64_t end) const;          // shares the bytes
  Dataset select(std::span<const int64_t> indices) const;  // copies the rows, in that order
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

// "0", "1", ..., one name a class.
std::vector<std::string> numbered_classes(int64_t count);

}  // namespace descent::data
