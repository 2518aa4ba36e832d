// Batches of a data set, shuffled, augmented and copied by background threads into buffers that a step reads in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "descent/core/array.h"
#include "descent/data/augment.h"
#include "descent/data/dataset.h"

namespace descent::data {

// One batch. The arrays are the batcher's own buffers.
struct Batch {
  Array inputs;       // [B,...] of the data set's dtype; rows of different lengths are cut to the longest's room
  Array targets;      // [B] or [B,K]; no array if the data set has none. Of mixtures: f32 [B,classes], each row's sum 1
  int64_t index = 0;  // in its epoch, from 0
};

// Changes one sample's bytes in a data thread (after augmentation). It may depend on them and on `key` only: key is a
// function of the seed, the epoch and the sample's row in the data set.
using SampleTransform = std::function<void(std::span<std::byte> sample, uint64_t key)>;

struct BatchOptions {
  int64_t batch_size = 128;
  bool shuffle = true;
  uint64_t seed = 0;
  bool drop_last = false;                      // leave out a last batch that is smaller
  int64_t epoch_size = 0;                      // rows of an epoch, where several share one pass; 0: all (see below)
  std::optional<AugmentOptions> augment = {};  // of u8 images
  SampleTransform transform = {};              // a change of one's own
  int threads = 1;                             // in the background; next() helps when it would have to wait
  int prefetch = 4;                            // batches that may be ready beforehand
};

// Of one row of a batch's targets: the data's own, or, of mixtures, f32 [classes].
Type target_row_type(const Dataset& data, const std::optional<AugmentOptions>& augment);

// The order of the rows is a function of (seed, epoch), and a sample's augmentation and what it is mixed with of (seed,
// epoch, row), so batch k of epoch e is the same bytes whatever the number of threads and wherever an epoch was
// started: a run resumes exactly.
//
// With an epoch size E below the N rows, N / E epochs share each pass over the rows, one behind the other in its order,
// and the rest of the rows (less than E) is left out of that pass: large sets are judged and noted more often.
//
// Rows of a source that need different room lie in its order, those of one room in theirs, and the batches, each cut to
// the room of its longest row, come in a random order. So an epoch has few shapes, and each as often.
//
// Batches that are quicker to copy than to hand from core to core (no augmentation, no transform, at most
// `inline_bytes`) are copied by next() itself, and no thread is started. Rows of a source are made by the threads,
// varied by the same key as augmentation.
class Batches {
 public:
  static constexpr int64_t inline_bytes = int64_t{1} << 19;

  // Shares the data set's bytes. All memory is allocated here. Fails if there is no row or no whole batch, or if
  // options do not fit the data.
  Batches(Dataset data, BatchOptions options);
  ~Batches();
  Batches(const Batches&) = delete;
  Batches& operator=(const Batches&) = delete;

  // Begins epoch `epoch` at batch `first_batch`, 0 to batches_per_epoch(); what was prefetched before is dropped.
  void start(uint64_t epoch, int64_t first_batch = 0);

  // The next batch, nullptr after the last (and before start()). It stays valid until the next call of next() or
  // start(). An exception of a data thread is thrown here, in its batch's turn; the batch after it can still be had.
  const Batch* next();

  int64_t batches_per_epoch() const;
  const Dataset& data() const;
  const BatchOptions& options() const;

 private:
  class Worker;
  class Ring;
  std::unique_ptr<Ring> ring_;
};

}  // namespace descent::data
