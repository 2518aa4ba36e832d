#include "descent/data/batches.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "descent/base/text.h"
#include "descent/data/augment_mix.h"
#include "descent/data/random.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace descent::data {

namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// One buffer of the ring. `ready` is the index of the batch that it holds, published when that is complete.
struct Slot {
  Array inputs, targets;  // of a whole batch
  Batch batch;            // views of them
  std::exception_ptr error;
  std::atomic<int64_t> ready{-1};
};

size_t row_bytes(const Array& array) {
  return array ? array.bytes().size() / static_cast<size_t>(array.shape()[0]) : 0;
}

bool mixes(const BatchOptions& options) { return options.augment && options.augment->mixes(); }

Type type_of_rows(const Type& row, int64_t count) {
  std::vector<int64_t> sizes{count};
  sizes.insert(sizes.end(), row.shape.begin(), row.shape.end());
  return {row.dtype, Shape(sizes)};
}

Array rows_of(const Type& row, int64_t count) { return Array(type_of_rows(row, count)); }

// Rows of images: what augmentation is for. Other rows have more planes than red, green, blue and opacity.
bool is_image(const Type& row) {
  const int rank = row.shape.rank();
  return row.dtype == DType::u8 && (rank == 2 || (rank == 3 && row.shape[2] <= 4));
}

// How many rows an epoch has.
int64_t epoch_rows(int64_t rows, const BatchOptions& options) {
  return options.epoch_size > 0 ? std::min(rows, options.epoch_size) : rows;
}

void check(const Dataset& data, const BatchOptions& options) {
  const int64_t rows = data.size();
  if (rows == 0) fail("batches: the data set has no rows");
  constexpr int64_t most = std::numeric_limits<uint32_t>::max();
  if (rows > most) fail(text("batches: ", rows, " rows are more than can be shuffled"));
  if (options.batch_size > most) fail(text("batches: a batch size of ", options.batch_size, " is more than ", most));
  if (data.targets && data.targets.shape()[0] != rows)
    fail(text("batches: inputs of ", data.inputs.type(), " and targets of ", data.targets.type(), " differ in rows"));
  if (options.epoch_size < 0) fail(text("batches: an epoch of ", options.epoch_size, " rows is not at least 0"));
  if (options.batch_size < 1) fail(text("batches: a batch size of ", options.batch_size, " is not at least 1"));
  if (options.drop_last && epoch_rows(rows, options) < options.batch_size)
    fail(text("batches: ", epoch_rows(rows, options), " rows make no whole batch of ", options.batch_size,
              ", and drop_last leaves out the rest"));
  if (options.threads < 0 || options.prefetch < 1)
    fail(text("batches: ", options.threads, " threads and ", options.prefetch,
              " batches prefetched; at least 0 and 1 are needed"));
  if (options.augment && !is_image(data.row_type()))
    fail(text("batches: augmentation is for images u8[N,H,W] or u8[N,H,W,C], but the inputs are ",
              type_of_rows(data.row_type(), rows)));
  if (mixes(options) && (!data.targets || data.targets.dtype() != DType::i32 || data.classes.empty()))
    fail("batches: mixup and cutmix mix classes, and the data have none as targets");
}

std::optional<Augmenter> make_augmenter(const Dataset& data, const BatchOptions& options) {
  if (!options.augment || !options.augment->any()) return std::nullopt;
  const Shape shape = data.row_type().shape;
  return std::optional<Augmenter>(std::in_place, *options.augment, shape[0], shape[1],
                                  shape.rank() == 3 ? shape[2] : 1);
}

// What an image's keys are made with besides those of augment.cpp.
constexpr uint64_t transform_key = 3, vary_key = 4, turns_key = 5, mixture_key = 8, partner_key = 9,
                   first_flip_key = 10;

}  // namespace

Type target_row_type(const Dataset& data, const std::optional<AugmentOptions>& augment) {
  if (augment && augment->mixes()) return {DType::f32, {static_cast<int64_t>(data.classes.size())}};
  return {data.targets.dtype(), data.targets.shape().without(0)};
}

// Copies rows of a data set into slots. It has its own scratch memory, so one belongs to each thread that fills.
class Batches::Worker {
 public:
  Worker(const Dataset& data, const BatchOptions& options)
      : data_(data),
        options_(options),
        augmenter_(make_augmenter(data, options)),
        input_bytes_(static_cast<size_t>(data.row_type().bytes())) {
    if (data.source && augmenter_) made_.resize(input_bytes_);
    if (mixes(options)) other_.resize(input_bytes_);
  }

  // Batch `index` is number `place` of those that lie in `order`, the rows of the whole epoch, which is in this pass
  // over all rows.
  void fill(Slot& slot, int64_t index, int64_t place, std::span<const uint32_t> order, uint64_t epoch, uint64_t pass) {
    const int64_t first = place * options_.batch_size, count = std::min(options_.batch_size, std::ssize(order) - first);
    const std::span<const uint32_t> rows = order.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    slot.error = nullptr;
    epoch_ = epoch;
    pass_ = pass;
    try {
      slot.batch.index = index;
      slot.batch.inputs = cut_to_room(slot.inputs, rows);
      if (slot.targets) slot.batch.targets = slot.targets.rows(0, count);
      if (slot.targets && !mixes(options_)) copy_rows(data_.targets, rows, slot.targets.data());
      if (augmenter_ || data_.source)
        make_rows(rows, slot);
      else
        copy_rows(data_.inputs, rows, slot.inputs.data());
      if (options_.transform) transform_rows(rows, slot.batch.inputs);
    } catch (...) {
      slot.error = std::current_exception();
    }
    slot.ready.store(index, std::memory_order_release);
  }

 private:
  // Shuffled rows are strangers to the processor's own prefetching.
  static void prefetch(const std::byte* row, size_t bytes) {
    constexpr size_t line = 64, most = 1024;
    for (size_t i = 0; i < std::min(most, bytes); i += line) __builtin_prefetch(row + i);
  }

  static void copy_rows(const Array& array, std::span<const uint32_t> rows, std::byte* out) {
    constexpr size_t rows_ahead = 4;
    const size_t bytes = row_bytes(array);
    const std::byte* const from = array.data();
    for (size_t i = 0; i < rows.size(); ++i, out += bytes) {
      if (i + rows_ahead < rows.size()) prefetch(from + rows[i + rows_ahead] * bytes, bytes);
      std::memcpy(out, from + rows[i] * bytes, bytes);
    }
  }

  // As many rows, of the room that the last of them needs: rows are in the order of their room.
  Array cut_to_room(const Array& whole, std::span<const uint32_t> rows) const {
    const auto count = static_cast<int64_t>(rows.size());
    const Array all = whole.rows(0, count);
    const Shape& shape = whole.shape();
    const int64_t room = data_.source && shape.rank() > 1 ? data_.source->room(rows.back()) : -1;
    return room < 0 || room == shape[1] ? all : all.first(shape.with(0, count).with(1, room));
  }

  void vary_rows(std::span<const uint32_t> rows, Slot& slot) {
    const size_t bytes = row_bytes(slot.batch.inputs);
    std::byte* out = slot.inputs.data();
    for (size_t i = 0; i < rows.size(); ++i, out += bytes)
      data_.source->vary(rows[i], random_key(key(rows[i]), vary_key), {out, bytes}, target_bytes(slot, i));
  }

  void make_rows(std::span<const uint32_t> rows, Slot& slot) {
    if (!augmenter_) return vary_rows(rows, slot);
    std::byte* out = slot.inputs.data();
    for (size_t i = 0; i < rows.size(); ++i, out += input_bytes_) {
      if (!data_.source && i + 1 < rows.size())
        prefetch(data_.inputs.data() + rows[i + 1] * input_bytes_, input_bytes_);
      make_row(rows[i], key(rows[i]), {out, input_bytes_});
      if (mixes(options_)) mix_row(rows[i], {reinterpret_cast<uint8_t*>(out), input_bytes_}, target_row(slot, i));
    }
  }

  // One row, augmented by a key.
  void make_row(uint32_t row, uint64_t row_key, std::span<std::byte> out) {
    const uint8_t* image = nullptr;
    if (data_.source) {
      data_.source->read(row, std::as_writable_bytes(std::span(made_)));
      image = made_.data();
    } else {
      image = reinterpret_cast<const uint8_t*>(data_.inputs.data()) + row * input_bytes_;
    }
    augmenter_->apply({image, input_bytes_}, {reinterpret_cast<uint8_t*>(out.data()), out.size()}, row_key,
                      is_mirrored(row));
  }

  void mix_row(uint32_t row, std::span<uint8_t> image, std::span<float> target) {
    const Shape shape = data_.row_type().shape;
    const uint64_t row_key = key(row);
    const Mixture mixture =
        draw_mixture(*options_.augment, data_.size(), shape[0], shape[1], random_key(row_key, mixture_key));
    std::ranges::fill(target, 0.0f);
    const std::span<const int32_t> labels = data_.targets.as<int32_t>();
    const auto partner = static_cast<uint32_t>(mixture.partner);
    target[static_cast<size_t>(labels[row])] += static_cast<float>(mixture.part);
    if (!mixture.mixed) return;
    target[static_cast<size_t>(labels[partner])] += static_cast<float>(1 - mixture.part);
    make_row(partner, random_key(row_key, partner_key), std::as_writable_bytes(std::span(other_)));
    mix_images(mixture, other_, image, shape[1], shape.rank() == 3 ? shape[2] : 1);
  }

  static std::span<std::byte> target_bytes(Slot& slot, size_t i) {
    const size_t bytes = row_bytes(slot.targets);
    return bytes == 0 ? std::span<std::byte>() : slot.targets.bytes().subspan(i * bytes, bytes);
  }

  static std::span<float> target_row(Slot& slot, size_t i) {
    const auto classes = static_cast<size_t>(slot.targets.shape()[1]);
    return slot.targets.as<float>().subspan(i * classes, classes);
  }

  void transform_rows(std::span<const uint32_t> rows, Array& inputs) {
    const size_t bytes = row_bytes(inputs);
    std::byte* out = inputs.data();
    for (const uint32_t row : rows) {
      options_.transform({out, bytes}, random_key(key(row), transform_key));
      out += bytes;
    }
  }

  uint64_t key(uint32_t row) const { return random_key(options_.seed, epoch_, row); }

  // Flips that alternate: half of the images begin with one.
  bool is_mirrored(uint32_t row) const { return ((random_key(options_.seed, row, first_flip_key) + pass_) & 1) != 0; }

  const Dataset& data_;
  const BatchOptions& options_;
  std::optional<Augmenter> augmenter_;
  size_t input_bytes_;
  uint64_t epoch_ = 0, pass_ = 0;
  std::vector<uint8_t> made_, other_;  // a source's row before it is augmented, and the other image of a mixture
};

// The ring of slots between the data threads and the caller. Batch i lives in slot i modulo the size. Batches are
// claimed in order under the mutex, filled outside it, and given out in order.
class Batches::Ring {
 public:
  Ring(Dataset data, BatchOptions options) : data_(std::move(data)), options_(std::move(options)) {
    check(data_, options_);
    const int64_t all = data_.size(), rows = epoch_rows(all, options_), size = options_.batch_size;
    rows_ = static_cast<size_t>(rows);
    epochs_a_pass_ = static_cast<uint64_t>(all / rows);
    total_ = options_.drop_last ? rows / size : (rows + size - 1) / size;
    order_.resize(static_cast<size_t>(all));
    std::iota(order_.begin(), order_.end(), 0u);
    find_rooms();
    const bool threaded = options_.threads > 0 && !is_quick();
    slots_ = std::vector<Slot>(threaded ? static_cast<size_t>(options_.prefetch) + 1 : 1);
    for (Slot& slot : slots_) {
      slot.inputs = rows_of(data_.row_type(), std::min(rows, size));
      if (data_.targets) slot.targets = rows_of(target_row_type(data_, options_.augment), std::min(rows, size));
    }
    workers_.reserve(static_cast<size_t>(options_.threads) + 1);
    workers_.emplace_back(data_, options_);  // the caller's
    for (int i = 0; threaded && i < options_.threads; ++i) workers_.emplace_back(data_, options_);
    try {
      for (size_t i = 1; i < workers_.size(); ++i) threads_.emplace_back([this, i] { work(workers_[i]); });
    } catch (...) {  // the system gives no more threads
      shut_down();
      throw;
    }
  }
  ~Ring() { shut_down(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  void start(uint64_t epoch, int64_t first_batch) {
    if (first_batch < 0 || first_batch > total_)
      fail(text("batches: an epoch of ", total_, " batches cannot start at batch ", first_batch));
    std::unique_lock lock(mutex_);
    end_ = 0;  // nothing more is claimed
    filled_.wait(lock, [this] { return filling_ == 0; });
    pass_ = epoch / epochs_a_pass_;
    if (options_.shuffle) random_order(order_, random_key(options_.seed, pass_));
    if (!rooms_.empty()) arrange(epoch);
    for (Slot& slot : slots_) slot.ready.store(-1, std::memory_order_relaxed);
    epoch_ = epoch;
    claimed_ = released_ = position_ = first_batch;
    end_ = total_;
    wanted_.notify_all();
  }

  const Batch* next() {
    std::unique_lock lock(mutex_);
    released_ = position_;  // the caller is done with the batch before
    if (position_ >= end_) return nullptr;
    const int64_t index = position_++;
    Slot& slot = slots_[static_cast<size_t>(index) % slots_.size()];
    const bool help = claimed_ == index;
    if (help) ++claimed_;
    // Sleeping threads are woken when half the ring is empty, not for every batch: a wake-up costs more than a small
    // batch.
    if (claimed_ - released_ <= static_cast<int64_t>(slots_.size()) / 2) wanted_.notify_all();
    if (help) {
      lock.unlock();
      workers_[0].fill(slot, index, place_of(index), order(), epoch_, pass_);
    } else {
      wait(lock, slot, index);
    }
    if (slot.error) std::rethrow_exception(std::exchange(slot.error, nullptr));
    return &slot.batch;
  }

  int64_t total() const { return total_; }
  const Dataset& data() const { return data_; }
  const BatchOptions& options() const { return options_; }

 private:
  bool is_quick() const {
    const auto bytes = static_cast<int64_t>(row_bytes(data_.inputs) + row_bytes(data_.targets)) * options_.batch_size;
    return !data_.source && !(options_.augment && options_.augment->any()) && !options_.transform &&
           bytes <= inline_bytes;
  }

  // Of the epoch.
  std::span<uint32_t> order() {
    return std::span(order_).subspan(static_cast<size_t>(epoch_ % epochs_a_pass_) * rows_, rows_);
  }

  // Whether rows need different room, and how much each.
  void find_rooms() {
    if (!data_.source) return;
    for (int64_t row = 0; row < data_.size(); ++row) rooms_.push_back(data_.source->room(row));
    if (std::ranges::adjacent_find(rooms_, std::ranges::not_equal_to()) == rooms_.end()) return rooms_.clear();
    turns_.resize(static_cast<size_t>(total_));
  }

  // Rows by room, and the batches in turn. What drop_last leaves out was drawn before, so it is not the longest.
  void arrange(uint64_t epoch) {
    epoch_ = epoch;
    const auto used = std::min(rows_, static_cast<size_t>(total_ * options_.batch_size));
    std::ranges::stable_sort(order().first(used), {}, [&](uint32_t row) { return rooms_[row]; });
    std::iota(turns_.begin(), turns_.end(), 0u);
    if (options_.shuffle) random_order(turns_, random_key(options_.seed, epoch, turns_key));
  }

  int64_t place_of(int64_t index) const { return rooms_.empty() ? index : turns_[static_cast<size_t>(index)]; }

  bool may_claim() const { return claimed_ < end_ && claimed_ < released_ + static_cast<int64_t>(slots_.size()); }

  void work(Worker& worker) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wanted_.wait(lock, [this] { return stop_ || may_claim(); });
      if (stop_) return;
      const int64_t index = claimed_++;
      ++filling_;
      lock.unlock();
      worker.fill(slots_[static_cast<size_t>(index) % slots_.size()], index, place_of(index), order(), epoch_, pass_);
      lock.lock();
      --filling_;
      filled_.notify_all();
    }
  }

  // Spins briefly, since a batch that is being filled is seldom far off, and then sleeps.
  void wait(std::unique_lock<std::mutex>& lock, const Slot& slot, int64_t index) {
    constexpr int spins = 300;
    const auto is_ready = [&] { return slot.ready.load(std::memory_order_acquire) == index; };
    if (is_ready()) return lock.unlock();
    lock.unlock();
    for (int i = 0; i < spins && !is_ready(); ++i) pause_briefly();
    if (is_ready()) return;
    lock.lock();
    filled_.wait(lock, is_ready);
    lock.unlock();
  }

  void shut_down() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  const Dataset data_;
  const BatchOptions options_;
  int64_t total_ = 0;
  std::vector<uint32_t> order_;  // of the pass
  std::vector<int64_t> rooms_;   // of each row, where they differ
  std::vector<uint32_t> turns_;  // then, which batch in order_ comes when
  size_t rows_ = 0;              // of an epoch
  uint64_t epochs_a_pass_ = 1, epoch_ = 0, pass_ = 0;
  std::vector<Slot> slots_;
  std::vector<Worker> workers_;  // [0] is the caller's
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wanted_, filled_;
  int64_t position_ = 0;  // the batch that the caller gets next
  int64_t released_ = 0;  // batches before this one may be overwritten
  int64_t claimed_ = 0;   // batches before this one are filled or being filled
  int64_t end_ = 0;       // batches of this epoch; 0 before start()
  int filling_ = 0;       // threads that are filling
  bool stop_ = false;
};

Batches::Batches(Dataset data, BatchOptions options)
    : ring_(std::make_unique<Ring>(std::move(data), std::move(options))) {}
Batches::~Batches() = default;

void Batches::start(uint64_t epoch, int64_t first_batch) { ring_->start(epoch, first_batch); }
const Batch* Batches::next() { return ring_->next(); }
int64_t Batches::batches_per_epoch() const { return ring_->total(); }
const Dataset& Batches::data() const { return ring_->data(); }
const BatchOptions& Batches::options() const { return ring_->options(); }

}  // namespace descent::data
