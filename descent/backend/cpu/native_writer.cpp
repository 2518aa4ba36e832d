#include "descent/backend/cpu/native_writer.h"

#if defined(__x86_64__)
#include <algorithm>
#include <bit>

namespace descent::cpu {

namespace {

bool is_whole(DType dtype) { return dtype == DType::i32 || dtype == DType::u8 || dtype == DType::boolean; }

// --- What can be written ---

bool has_arithmetic(const TileNode& node) {
  const Arith op = *node.arith;
  if (op == Arith::where || op == Arith::equal) return true;
  if (node.type == LaneType::i32) return op == Arith::max || op == Arith::min || op == Arith::less;
  if (node.type == LaneType::u32) return op == Arith::less;
  switch (op) {
    case Arith::neg:
    case Arith::exp:
    case Arith::tanh:
    case Arith::erf:
    case Arith::x_erf_slope:
    case Arith::rounded_gelu:
    case Arith::rounded_gelu_slope:
    case Arith::sqrt:
    case Arith::floor:
    case Arith::add:
    case Arith::sub:
    case Arith::mul:
    case Arith::div:
    case Arith::max:
    case Arith::min:
    case Arith::less: return true;
    default: return false;
  }
}

bool has_conversion(LaneType from, DType to) {
  if (from == LaneType::real) return to == DType::f32 || to == DType::bf16 || to == DType::boolean;
  if (from == LaneType::i32) return to == DType::f32 || to == DType::bf16 || is_whole(to);
  return to == DType::u32;
}

}  // namespace

bool NativeWriter::is_stored(DType dtype) {
  return is_whole(dtype) || dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::u32;
}

bool NativeWriter::has_view(int id) const {
  return view(id).contiguous() || (node(id).kind == Kind::load && repeats_row(id));
}

bool NativeWriter::has_code(int id) const {
  return node(id).arith ? has_arithmetic(node(id)) : has_conversion(node(id).type, node(id).dtype);
}

int64_t period_of(const TileView& view) {
  return view.axes == 2 && view.strides[0] == 0 && view.strides[1] == 1 ? view.sizes[1] : 0;
}

NativeWriter::NativeWriter(const TileBody& body, const BufferPlaces& places, size_t code_bytes)
    : CodeGenerator(code_bytes > 0 ? code_bytes : 8192 + 2048 * body.nodes.size(), Xbyak::DontSetProtectRWE),
      body_(body),
      places_(places),
      rates_(body.nodes.size(), Rate::never),
      last_(body.nodes.size(), -1),
      slot_(body.nodes.size(), -1),
      place_(body.nodes.size(), -1) {}

// --- Which node is computed where ---

// What a store writes. It rounds to bf16 itself.
int NativeWriter::stored(int id) const {
  const int from = node(id).in[0];
  const TileNode& value = node(from);
  const bool rounding =
      value.kind == Kind::compute && !value.arith && value.dtype == DType::bf16 && value.type == LaneType::real;
  return rounding && !value.uniform && view(id).dtype == DType::bf16 ? value.in[0] : from;
}

// The nodes whose values this one is computed from.
std::array<int, 4> NativeWriter::arguments(int id) const {
  if (node(id).kind == Kind::store) return {stored(id), -1, -1, -1};
  if (node(id).kind == Kind::spread) return {-1, -1, -1, -1};
  return node(id).in;
}

NativeWriter::Rate NativeWriter::find_rate(int id) const {
  if (is_sink(id)) return Rate::element;
  if (node(id).uniform) return Rate::never;
  if (node(id).kind == Kind::spread) return Rate::column;
  if (node(id).kind == Kind::load) return repeats_row(id) ? Rate::column : Rate::element;
  Rate most = Rate::never;
  for (const int arg : node(id).in)
    if (arg >= 0) most = std::max(most, rate(arg));
  return most == Rate::never ? Rate::element : most;
}

bool NativeWriter::sort_nodes() {
  std::vector<bool> needed(body_.nodes.size(), false);
  std::vector<int> order;
  for (int id = static_cast<int>(body_.nodes.size()); id-- > 0;) {
    const TileNode& of = node(id);
    const bool wanted = of.kind == Kind::reduce || (of.kind == Kind::store && of.level == Level::element) ||
                        needed[static_cast<size_t>(id)];
    if (of.kind == Kind::dead || !wanted) continue;
    order.push_back(id);
    for (const int arg : arguments(id))
      if (arg >= 0) needed[static_cast<size_t>(arg)] = true;
  }
  std::ranges::reverse(order);
  for (const int id : order) {
    const TileNode& of = node(id);
    if (of.level != Level::element && !of.uniform && of.kind != Kind::reduce) return false;
    switch (of.kind) {
      case Kind::constant: break;
      case Kind::load:
        if (of.uniform ? view(id).dtype != DType::f32 || view(id).empty() : !is_stored(view(id).dtype) || !has_view(id))
          return false;
        break;
      case Kind::store:
        if (!is_stored(view(id).dtype) || !has_view(id)) return false;
        break;
      case Kind::compute:
        if (!has_code(id)) return false;
        break;
      case Kind::spread:
        if (node(of.in[0]).level != Level::column || lane_type(of.dtype) != LaneType::real) return false;
        break;
      case Kind::reduce:
        if (of.level != Level::column || of.reduce != LoopOp::sum || of.type != LaneType::real) return false;
        break;
      default: return false;
    }
    rates_[static_cast<size_t>(id)] = find_rate(id);
    (rate(id) == Rate::never ? never_ : rate(id) == Rate::column ? column_ : loop_).push_back(id);
  }
  find_last_uses();
  return true;
}

bool NativeWriter::is_read(int store) const {
  return std::ranges::any_of(body_.nodes, [&](const TileNode& each) {
    return each.kind == Kind::load && places_.may_overlap(view(store), body_.views[static_cast<size_t>(each.view)]);
  });
}

void NativeWriter::find_last_uses() {
  std::ranges::fill(last_, -1);
  for (size_t at = 0; at < loop_.size(); ++at)
    for (const int arg : arguments(loop_[at]))
      if (arg >= 0) last_[static_cast<size_t>(arg)] = static_cast<int>(at);
}

int NativeWriter::most_alive() const {
  int alive = 0, most = 0;
  for (size_t at = 0; at < loop_.size(); ++at) {
    int fetched = 0;
    for (const int arg : arguments(loop_[at])) fetched += arg >= 0 && rate(arg) != Rate::element;
    alive += count_made(at);
    most = std::max(most, alive + fetched);
    alive -= count_ended(at);
  }
  return most;
}

// Registers that the node takes: none if its twin has been made.
int NativeWriter::count_made(size_t at) const {
  const int other = twin(at);
  return is_sink(loop_[at]) ? 0 : other < 0 ? 1 : other > static_cast<int>(at) ? 2 : 0;
}

int NativeWriter::count_ended(size_t at) const {
  int ended = 0;
  const std::array<int, 4> args = arguments(loop_[at]);
  for (size_t i = 0; i < args.size(); ++i) {
    const auto end = args.begin() + static_cast<int64_t>(i);
    const bool again = std::find(args.begin(), end, args[i]) != end;
    ended += args[i] >= 0 && !again && rate(args[i]) == Rate::element &&
             last_[static_cast<size_t>(args[i])] == static_cast<int>(at);
  }
  return ended;
}

// --- Registers ---

void NativeWriter::forget_registers() {
  std::ranges::fill(place_, -1);
  reset_registers();
}

void NativeWriter::reset_registers() {
  taken_.clear();
  free_.clear();
  for (int reg = registers; reg-- > 0;)
    if (std::ranges::find(place_, reg) == place_.end()) free_.push_back(reg);
}

int NativeWriter::take() {
  const int reg = free_.back();
  free_.pop_back();
  return reg;
}

// An argument of the node in hand. What is fetched from the stack is given back with the scratch registers.
Xbyak::Zmm NativeWriter::get(int id) {
  const int reg = rate(id) == Rate::element ? place_of(id) : place_[static_cast<size_t>(id)];
  if (reg >= 0) return Zmm(reg);
  const Zmm fetched = temporary();
  fetch(fetched, id);
  return fetched;
}

Xbyak::Zmm NativeWriter::temporary() {
  taken_.push_back(take());
  return Zmm(taken_.back());
}

void NativeWriter::give_back() {
  free_.insert(free_.end(), taken_.begin(), taken_.end());
  taken_.clear();
}

// Registers for those of the nodes that the loop reads, as far as there are; how many are left.
int NativeWriter::pin(const std::vector<int>& nodes, int most) {
  reset_registers();
  for (const int id : nodes)
    if (most > 0 && last_[static_cast<size_t>(id)] >= 0) {
      --most;
      place_[static_cast<size_t>(id)] = take();
    }
  return most;
}

void NativeWriter::load_pinned(const std::vector<int>& nodes) {
  for (const int id : nodes)
    if (place_[static_cast<size_t>(id)] >= 0) fetch(Zmm(place_[static_cast<size_t>(id)]), id);
}

// --- Values ---

// Computes nodes that the loop does not change, and leaves them on the stack.
void NativeWriter::write_steady(const std::vector<int>& nodes, bool some) {
  const std::vector<int> places = place_;
  std::ranges::fill(place_, -1);
  for (const int id : nodes) {
    reset_registers();
    const int made = take();
    if (node(id).kind == Kind::constant)
      vbroadcastss(Zmm(made), ptr[rip + label_of(node(id).bits)]);
    else if (node(id).kind == Kind::compute)
      write_compute(id, made);
    else
      write_steady_load(id, Zmm(made), some);
    vmovaps(slot(id), Zmm(made));
  }
  place_ = places;
  reset_registers();
}

void NativeWriter::write_elements(bool some, int copies) {
  const std::vector<int> free = free_, places = place_;
  second_place_ = place_;
  for (size_t at = 0; at < loop_.size(); ++at) {
    const int id = loop_[at];
    const bool pair = copies == 2 && node(id).kind == Kind::store && view(id).dtype == DType::bf16;
    if (pair) write_pair(id);
    for (copy_ = 0; copy_ < copies; ++copy_) {
      if (!pair) is_sink(id) ? write_node(id, -1, some) : write_value(at, some);
      give_back();
      end_arguments(at);
    }
  }
  copy_ = 0;
  free_ = free;
  place_ = places;
}

void NativeWriter::write_value(size_t at, bool some) {
  const int id = loop_[at];
  if (place_of(id) < 0) {
    const int to = place_of(id) = take();
    if (reload(id, Zmm(to))) return;
    const int other = twin(at);
    other < static_cast<int>(at) ? write_node(id, to, some) : write_twins(id, loop_[static_cast<size_t>(other)], to);
  }
  made(id, Zmm(place_of(id)));
}

// Gives back the registers of what is used for the last time.
void NativeWriter::end_arguments(size_t at) {
  for (const int arg : arguments(loop_[at])) {
    if (arg < 0 || rate(arg) != Rate::element || last_[static_cast<size_t>(arg)] != static_cast<int>(at) ||
        place_of(arg) < 0)
      continue;
    free_.push_back(place_of(arg));
    place_of(arg) = -1;
  }
}

bool NativeWriter::has_long_chains() const {
  constexpr Arith chains[] = {Arith::exp,         Arith::tanh,         Arith::erf,
                              Arith::x_erf_slope, Arith::rounded_gelu, Arith::rounded_gelu_slope,
                              Arith::div,         Arith::sqrt};
  return std::ranges::any_of(loop_, [&](int id) { return std::ranges::count(chains, node(id).arith) > 0; });
}

void NativeWriter::write_node(int id, int made, bool some) {
  switch (node(id).kind) {
    case Kind::load:
      if (!some) prefetch_load(id);
      return load_lanes(Zmm(made), at(id), view(id).dtype, some);
    case Kind::store:
      if (!some) prefetch_store(id);
      return write_store(id, some);
    case Kind::reduce: return add_to_sum(id, get(node(id).in[0]));
    case Kind::iota: return write_column_numbers(Zmm(made));
    case Kind::random: return write_random(id, Zmm(made));
    default: return write_compute(id, made);
  }
}

// The numbers of the columns in hand.
void NativeWriter::write_column_numbers(const Zmm& to) {
  Words numbers;
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<uint32_t>(shift_ + copy_ * lane_group) + static_cast<uint32_t>(i);
  if (without_index_) return vmovaps(to, lanes(numbers));
  vpbroadcastd(to, index_.cvt32());
  vpaddd(to, to, lanes(numbers));
}

void NativeWriter::load_lanes(const Zmm& to, const Xbyak::RegExp& from, DType dtype, bool some) {
  const Zmm masked = some ? to | some_ | T_z : to;
  switch (size_of(dtype)) {
    case 4: return vmovups(masked, ptr[from]);
    case 2: return vpmovzxwd(masked, ptr[from]), vpslld(to, to, 16);
    default: return vpmovzxbd(masked, ptr[from]);
  }
}

void NativeWriter::write_number(int id, const Zmm& to) {
  mov(whole_, view(id).offset * 4);
  add(whole_, ptr[addresses_ + static_cast<int>(view(id).buffer * sizeof(std::byte*))]);
  vbroadcastss(to, ptr[whole_]);
}

void NativeWriter::set_mask() {
  mov(whole_.cvt32(), run_.cvt32());
  and_(whole_.cvt32(), static_cast<uint32_t>(lane_group - 1));
  mov(ahead_.cvt32(), -1);
  bzhi(ahead_.cvt32(), ahead_.cvt32(), whole_.cvt32());
  kmovw(some_, ahead_.cvt32());
}

void NativeWriter::write_store(int id, bool some) {
  const Zmm value = get(stored(id));
  const Xbyak::Address to = some ? ptr[at(id)] | some_ : ptr[at(id)];
  if (view(id).dtype == DType::bf16) {
    const Xbyak::Ymm half(temporary().getIdx());
    vcvtneps2bf16(half, value);
    return !some && passes_caches(id) ? vmovntdq(to, half) : vmovdqu16(to, half);
  }
  size_of(view(id).dtype) == 1 ? vpmovdb(to, value) : vmovups(to, value);
}

// Both copies, rounded at once and side by side.
void NativeWriter::write_pair(int id) {
  copy_ = 1;
  const Zmm second = get(stored(id)), both = temporary();
  copy_ = 0;
  prefetch_store(id);
  vcvtne2ps2bf16(both, second, get(stored(id)));
  passes_caches(id) ? vmovntdq(ptr[at(id)], both) : vmovdqu16(ptr[at(id)], both);
}

// --- Arithmetic ---

void NativeWriter::write_compute(int id, int made) {
  const TileNode& of = node(id);
  const Zmm to(made);
  if (!of.arith) return convert(to, get(of.in[0]), of.type, of.dtype);
  std::vector<Zmm> in;
  for (const int arg : of.in)
    if (arg >= 0) in.push_back(get(arg));
  if (of.type == LaneType::u32 && *of.arith == Arith::less)
    vpcmpud(test_, in[0], in[1], 1), truth(to);
  else if (is_reciprocal(of))
    write_reciprocal(to, in[0], in[1]);
  else
    of.type == LaneType::real ? write_real(*of.arith, to, in) : write_whole(*of.arith, to, in);
  if (wants_rounding(id)) round(to, to);
}

// Stores round themselves.
bool NativeWriter::wants_rounding(int id) const {
  return node(id).in_bf16 && std::ranges::any_of(body_.nodes, [&](const TileNode& reader) {
           const bool stores = reader.kind == Kind::store && reader.dtype == DType::bf16;
           return !stores && reader.kind != Kind::dead && std::ranges::count(reader.in, id) > 0;
         });
}

void NativeWriter::round(const Zmm& to, const Zmm& from) {
  const Xbyak::Ymm half(to.getIdx());
  vcvtneps2bf16(half, from);
  vpmovzxwd(to, half);
  vpslld(to, to, 16);
}

void NativeWriter::convert(const Zmm& to, const Zmm& from, LaneType type, DType dtype) {
  const bool real = type == LaneType::real;
  if (dtype == DType::boolean) {
    real ? vcmpps(test_, from, each(uint32_t{0}), 4) : vptestmd(test_, from, from);
    return truth(to);
  }
  if (real) return dtype == DType::bf16 ? round(to, from) : vmovaps(to, from);
  if (dtype == DType::u8) {
    vpmaxsd(to, from, each(uint32_t{0}));
    return vpminsd(to, to, each(uint32_t{255}));
  }
  if (is_whole(dtype) || dtype == DType::u32) return vmovaps(to, from);
  vcvtdq2ps(to, from);
  if (dtype == DType::bf16) round(to, to);
}

void NativeWriter::truth(const Zmm& to) { vpbroadcastd(to | test_ | T_z, ptr[rip + label_of(1)]); }

void NativeWriter::write_whole(Arith op, const Zmm& to, const std::vector<Zmm>& in) {
  switch (op) {
    case Arith::max: return vpmaxsd(to, in[0], in[1]);
    case Arith::min: return vpminsd(to, in[0], in[1]);
    case Arith::less: return vpcmpgtd(test_, in[1], in[0]), truth(to);
    case Arith::equal: return vpcmpeqd(test_, in[0], in[1]), truth(to);
    default: return write_where(to, in);
  }
}

void NativeWriter::write_real(Arith op, const Zmm& to, const std::vector<Zmm>& in) {
  switch (op) {
    case Arith::neg: return vpxord(to, in[0], each(uint32_t{0x80000000}));
    case Arith::exp: return write_exp(to, in[0]);
    case Arith::tanh: return write_in_pieces(tanh_pieces, to, nullptr, in[0]);
    case Arith::erf: return write_in_pieces(erf_pieces, to, nullptr, in[0]);
    case Arith::x_erf_slope: return write_erfs(temporary(), to, in[0]);
    case Arith::rounded_gelu: return write_rounded_gelus(to, nullptr, in[0]);
    case Arith::rounded_gelu_slope: return write_rounded_gelus(temporary(), &to, in[0]);
    case Arith::sqrt: return vsqrtps(to, in[0]);
    case Arith::floor: return vrndscaleps(to, in[0], 9);
    case Arith::add: return vaddps(to, in[0], in[1]);
    case Arith::sub: return vsubps(to, in[0], in[1]);
    case Arith::mul: return vmulps(to, in[0], in[1]);
    case Arith::div: return write_quotient(to, in[0], in[1], temporary(), temporary());
    case Arith::max: return vmaxps(to, in[0], in[1]), keep_nan(to, in[0]);
    case Arith::min: return vminps(to, in[0], in[1]), keep_nan(to, in[0]);
    case Arith::less: return vcmpps(test_, in[0], in[1], 17), truth(to);
    case Arith::equal: return vcmpps(test_, in[0], in[1], 0), truth(to);
    default: return write_where(to, in);
  }
}

// The instructions for the larger and the smaller give the second argument where the first is no number.
void NativeWriter::keep_nan(const Zmm& to, const Zmm& first) {
  vcmpps(test_, first, first, 3);
  vmovaps(to | test_, first);
}

void NativeWriter::write_where(const Zmm& to, const std::vector<Zmm>& in) {
  vptestmd(test_, in[0], in[0]);
  vblendmps(to | test_, in[2], in[1]);
}

void NativeWriter::finish() {
  for (SlowQuotient& slow : slow_) {
    L(slow.begin);
    vdivps(Zmm(slow.to), Zmm(slow.a), Zmm(slow.b));
    jmp(slow.end, T_NEAR);
  }
  align(4);
  for (auto& [bits, label] : numbers_) {
    L(label);
    dd(bits);
  }
  align(vector_bytes);
  for (auto& [words, label] : vectors_) {
    L(label);
    for (const uint32_t word : words) dd(word);
  }
  setProtectModeRE();
}

}  // namespace descent::cpu
#endif
