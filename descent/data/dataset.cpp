#include "descent/data/dataset.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>

#include "descent/base/team.h"
#include "descent/base/text.h"
#include "descent/base/threads.h"
#include "descent/data/random.h"

namespace descent::data {

Array select_rows(const Array& array, std::span<const int64_t> indices) {
  const int64_t count = array.shape().rank() == 0 ? 0 : array.shape()[0];
  Array out(array.dtype(), array.shape().with(0, static_cast<int64_t>(indices.size())));
  const size_t row_bytes = count == 0 ? 0 : array.bytes().size() / static_cast<size_t>(count);
  std::byte* to = out.data();
  for (const int64_t index : indices) {
    if (index < 0 || index >= count) fail(text("row ", index, " does not exist in an array of ", array.type()));
    std::memcpy(to, array.data() + static_cast<size_t>(index) * row_bytes, row_bytes);
    to += row_bytes;
  }
  return out;
}

namespace {

// Some rows of a source, in another order.
class SelectedRows : public RowSource {
 public:
  SelectedRows(std::shared_ptr<const RowSource> whole, std::vector<int64_t> rows)
      : whole_(std::move(whole)), rows_(std::move(rows)) {}
  Type row_type() const override { return whole_->row_type(); }
  int64_t size() const override { return static_cast<int64_t>(rows_.size()); }
  void read(int64_t row, std::span<std::byte> out) const override {
    whole_->read(rows_.at(static_cast<size_t>(row)), out);
  }
  void vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const override {
    whole_->vary(rows_.at(static_cast<size_t>(row)), key, out, target);
  }
  int64_t room(int64_t row) const override { return whole_->room(rows_.at(static_cast<size_t>(row))); }

 private:
  std::shared_ptr<const RowSource> whole_;
  std::vector<int64_t> rows_;
};

// The first exception of the threads that made rows is thrown when all are done.
Array read_rows(const RowSource& source, int64_t begin, int64_t end) {
  Type row = source.row_type();
  int64_t room = 0;
  for (int64_t at = begin; at < end; ++at) room = std::max(room, source.room(at));
  if (row.shape.rank() > 0) row.shape[0] = room;
  std::vector<int64_t> sizes{end - begin};
  sizes.insert(sizes.end(), row.shape.begin(), row.shape.end());
  Array out(row.dtype, Shape(sizes));
  const auto bytes = static_cast<size_t>(row.bytes());
  std::atomic<int64_t> next{begin};
  std::exception_ptr error;
  std::mutex mutex;
  run_together(static_cast<int>(std::min<int64_t>(thread_count(), end - begin)), [&](Share) {
    for (int64_t at = next++; at < end; at = next++) {
      try {
        source.read(at, out.bytes().subspan(static_cast<size_t>(at - begin) * bytes, bytes));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = end;
      }
    }
  });
  if (error) std::rethrow_exception(error);
  return out;
}

}  // namespace

void RowSource::vary(int64_t row, uint64_t, std::span<std::byte> out, std::span<std::byte>) const { read(row, out); }

int64_t RowSource::room(int64_t) const { return row_type().shape.rank() > 0 ? row_type().shape[0] : 1; }

Type Dataset::row_type() const { return source ? source->row_type() : Type{inputs.dtype(), inputs.shape().without(0)}; }

Array Dataset::read_inputs(int64_t begin, int64_t end) const {
  return source ? read_rows(*source, begin, end) : inputs.rows(begin, end);
}

Dataset Dataset::rows(int64_t begin, int64_t end) const {
  if (source) {
    std::vector<int64_t> indices(static_cast<size_t>(end - begin));
    std::iota(indices.begin(), indices.end(), begin);
    return {{},
            targets ? targets.rows(begin, end) : Array(),
            classes,
            features,
            std::make_shared<SelectedRows>(source, std::move(indices))};
  }
  return {inputs.rows(begin, end), targets ? targets.rows(begin, end) : Array(), classes, features};
}

Dataset Dataset::spread(int64_t most) const {
  if (size() <= most) return *this;
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < most; ++i) rows.push_back(i * size() / most);
  return select(rows);
}

Dataset Dataset::select(std::span<const int64_t> indices) const {
  if (!source)
    return {select_rows(inputs, indices), targets ? select_rows(targets, indices) : Array(), classes, features};
  return {{},
          targets ? select_rows(targets, indices) : Array(),
          classes,
          features,
          std::make_shared<SelectedRows>(source, std::vector<int64_t>(indices.begin(), indices.end()))};
}

namespace {

void check_fractions(Fractions fractions) {
  const double held_out = fractions.validation + fractions.test;
  if (!(fractions.validation >= 0) || !(fractions.test >= 0) || !(held_out < 1))
    fail(text("a split into ", fractions.validation, " validation and ", fractions.test,
              " test needs fractions of at least 0 that leave something to train on"));
}

void check_part(double fraction, size_t part, int64_t rows, std::string_view name) {
  if (fraction > 0 && part == 0) fail(text("a ", name, " part of ", fraction, " of ", rows, " rows would be empty"));
}

// How many rows of each stratum a part gets: its share, rounded with the error carried on, so that the total is right
// too.
class Share {
 public:
  explicit Share(double fraction) : fraction_(fraction) {}
  size_t of(size_t rows, size_t most) {
    const double exact = fraction_ * static_cast<double>(rows) + carry_;
    const double whole = std::clamp(std::floor(exact + 0.5), 0.0, static_cast<double>(most));
    carry_ = exact - whole;
    return static_cast<size_t>(whole);
  }

 private:
  double fraction_, carry_ = 0;
};

}  // namespace

SplitIndices split_indices(int64_t rows, std::span<const int32_t> strata, Fractions fractions, uint64_t seed) {
  check_fractions(fractions);
  std::vector<uint32_t> order(static_cast<size_t>(rows));
  random_order(order,
               random_key(seed, 0x73706c6974));  // "split", so that no other use of the seed draws the same order
  std::map<int32_t, std::vector<int64_t>> by_class;
  for (const uint32_t row : order) by_class[strata.empty() ? 0 : strata[row]].push_back(row);

  SplitIndices out;
  Share test(fractions.test), validation(fractions.validation);
  for (const auto& [stratum, members] : by_class) {
    const size_t most = members.size() - (strata.empty() ? 0 : 1);  // a class that training never saw cannot be learnt
    const size_t test_rows = test.of(members.size(), most);
    const auto test_end = members.begin() + static_cast<int64_t>(test_rows);
    const auto validation_end = test_end + static_cast<int64_t>(validation.of(members.size(), most - test_rows));
    out.test.insert(out.test.end(), members.begin(), test_end);
    out.validation.insert(out.validation.end(), test_end, validation_end);
    out.train.insert(out.train.end(), validation_end, members.end());
  }
  check_part(fractions.test, out.test.size(), rows, "test");
  check_part(fractions.validation, out.validation.size(), rows, "validation");
  check_part(1 - fractions.test - fractions.validation, out.train.size(), rows, "training");
  for (std::vector<int64_t>* part : {&out.train, &out.validation, &out.test}) std::ranges::sort(*part);
  return out;
}

Splits split(const Dataset& data, Fractions fractions, uint64_t seed) {
  const std::span<const int32_t> strata =
      data.is_classification() && data.targets ? data.targets.as<int32_t>() : std::span<const int32_t>();
  const SplitIndices parts = split_indices(data.size(), strata, fractions, seed);
  return {data.select(parts.train), data.select(parts.validation), data.select(parts.test)};
}

void hold_out_validation(Splits& splits, double fraction, uint64_t seed) {
  if (splits.validation.size() > 0)
    fail(text("a validation part of ", fraction, " was asked for, but the data already has one of ",
              splits.validation.size(), " rows"));
  Splits parts = split(splits.train, {.validation = fraction, .test = 0}, seed);
  splits.train = std::move(parts.train);
  splits.validation = std::move(parts.validation);
}

Dataset labelled(Array inputs, const Array& labels, std::vector<std::string> classes, const std::string& source) {
  const int64_t count = inputs.shape().rank() > 0 ? inputs.shape()[0] : 0;
  if (is_floating(labels.dtype()) || labels.shape().rank() == 0 || labels.elements() != labels.shape()[0])
    fail(text(source, ": labels are integers, one a row, but this array is ", labels.type()));
  if (labels.elements() != count)
    fail(
        text(source, ": ", labels.elements(), " labels for inputs of ", inputs.type(), ", which has ", count, " rows"));
  check_labels(labels, static_cast<int64_t>(classes.size()), source);
  return {std::move(inputs), labels.cast(DType::i32).reshaped({count}), std::move(classes), {}};
}

void check_labels(const Array& labels, int64_t classes, const std::string& source) {
  const int64_t rows = labels.shape().rank() > 0 ? labels.shape()[0] : 0;
  for (int64_t i = 0; i < labels.elements(); ++i) {
    const double label = labels.at(i);
    if (label < 0 || label >= static_cast<double>(classes))
      fail(text(source, ": label ", label, " in row ", i / (labels.elements() / rows), " is out of range: there are ",
                classes, " classes (0 to ", classes - 1, ")"));
  }
}

int64_t count_classes(const Array& labels, const std::string& source) {
  constexpr double most_classes = 1 << 20;
  double most = -1;
  for (int64_t i = 0; i < labels.elements(); ++i) most = std::max(most, labels.at(i));
  if (most >= most_classes)
    fail(text(source, ": integer targets are classes, but one is ", static_cast<int64_t>(most),
              "; store floating numbers to predict a number"));
  return static_cast<int64_t>(most) + 1;
}

std::vector<std::string> numbered_classes(int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace descent::data
