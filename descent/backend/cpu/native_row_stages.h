// Which stage of a row computes what. A row is gone through once for each stage of what its sums depend on; what an
// earlier stage computes of an element and a later one wants is kept beside, where it stays in the first cache.
#pragma once

#include "descent/backend/cpu/native_writer.h"

#if defined(__x86_64__)

namespace descent::cpu {

class RowStages : public NativeWriter {
 protected:
  RowStages(const TileBody& body, const BufferPlaces& places, int64_t columns, size_t code_bytes)
      : NativeWriter(body, places, code_bytes),
        columns_(columns),
        stage_(body.nodes.size(), 0),
        kept_(body.nodes.size(), -1),
        stored_(body.nodes.size(), -1),
        passes_caches_(body.nodes.size(), false) {}

  bool sort_by_stage();  // false if there is something that has no instruction here
  bool overwrites();     // something is read after it may have been written
  bool has_room();       // enough registers, and not too many streams
  int left() const;      // registers, beside what the loop in hand needs

  int64_t pitch() const { return round_up(columns_, lane_group) + lane_group; }  // of what is kept
  int64_t bytes_of_row() const;                                                  // that are read, written and kept
  int nodes() const { return static_cast<int>(body_.nodes.size()); }
  int stage(int id) const { return stage_[static_cast<size_t>(id)]; }
  bool of_row(int id) const { return (node(id).level == Level::row && !node(id).uniform) || repeats_in_row(id); }
  bool repeats_in_row(int id) const;  // a load of elements that shows one value for all of a row
  bool sums_rows(int id) const { return node(id).kind == Kind::reduce && node(id).level == Level::row; }
  bool sums_columns(int id) const { return node(id).kind == Kind::reduce && node(id).level == Level::column; }
  int sums_before(Level level, int id) const;  // in order of nodes
  bool is_kept(int id, int in) const { return node(id).kind == Kind::compute && stage(id) < in && !is_cheap(id); }
  bool is_cheap(int id) const;  // what one instruction makes of one value that lies in memory anyway
  // What is kept of a node: its place beside, or the store that it lies in anyway; -1: none.
  int kept_beside(int id) const { return kept_[static_cast<size_t>(id)]; }
  int kept_in_store(int id) const { return stored_[static_cast<size_t>(id)]; }
  int kept_count() const { return kept_count_; }
  bool loads_first(int id, int in) const;  // no earlier stage than `in` reads this load's rows

  // How far apart the rows of an element's view begin; 0 if there is one row for all, -1 if neither. Views of a number
  // of rows that come again and again begin anew after row_period() rows, which is the same for all of a kernel.
  int64_t row_step(int id) const override;
  int64_t row_period(int id) const override;
  bool passes_caches(int id) const override { return passes_caches_[static_cast<size_t>(id)]; }
  int64_t period_rows() const { return period_rows_; }

  const int64_t columns_;
  std::vector<int> random_;              // sources of random bits
  std::vector<std::vector<int>> loops_;  // by stage
  int stages_ = 1;

 private:
  std::vector<int> arguments_of(int id) const;
  std::vector<int> needed() const;
  bool is_known(int id);
  int used_in(int id) const { return sums_rows(id) ? stage(id) - 1 : stage(id); }
  void fill_stages(const std::vector<int>& order);
  void find_late_stores();
  void keep(int id);
  void require(int id, int in, const std::vector<int>& order);
  int last_stage_of(int load) const;
  int store_of(int id) const;  // f32, of all elements; -1: none
  bool stays(int id) const;    // in memory, all the time

  std::vector<int> stage_;  // by node: when its value is there
  std::vector<int> kept_, stored_;
  std::vector<bool> passes_caches_;
  int kept_count_ = 0;
  int64_t period_rows_ = 0;
};

}  // namespace descent::cpu
#endif
