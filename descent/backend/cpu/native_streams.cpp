// Where native loops find what they read and write: streams of memory, and their frame on the stack.
#include "descent/backend/cpu/native_writer.h"

#if defined(__x86_64__)
#include <algorithm>

namespace descent::cpu {

NativeWriter::Stream NativeWriter::stream_of(int id) const {
  const auto width = static_cast<int64_t>(size_of(view(id).dtype));
  return {view(id).buffer, view(id).offset * width, static_cast<int>(width), row_step(id), row_period(id)};
}

bool NativeWriter::Stream::holds(const Stream& other) const {
  constexpr int64_t reach = int64_t{1} << 30;
  return buffer == other.buffer && width == other.width && step == other.step && period == other.period &&
         std::abs(other.byte - byte) < reach;
}

bool NativeWriter::find_streams() {
  constexpr size_t most = 48;
  for (const int id : loop_)
    if ((node(id).kind == Kind::load || node(id).kind == Kind::store) &&
        std::ranges::none_of(streams_, [&](const Stream& each) { return each.holds(stream_of(id)); }))
      streams_.push_back(stream_of(id));
  return streams_.size() <= most;
}

Xbyak::RegExp NativeWriter::at(int id, const Xbyak::Reg64& index) {
  const Stream stream = stream_of(id);
  const auto found = std::ranges::find_if(streams_, [&](const Stream& each) { return each.holds(stream); });
  const auto number = static_cast<size_t>(found - streams_.begin());
  const bool there = number < std::size(bases_);
  if (!there) mov(fetched_, base_word(number));
  const auto apart = static_cast<int>(stream.byte - found->byte + (shift_ + copy_ * lane_group) * stream.width);
  const Xbyak::Reg64& base = there ? bases_[number] : fetched_;
  return without_index_ ? base + apart : base + index * stream.width + apart;
}

void NativeWriter::set_base(size_t stream, const Xbyak::Reg64& value) {
  stream < std::size(bases_) ? mov(bases_[stream], value) : mov(base_word(stream), value);
}

void NativeWriter::move_base(size_t stream, const Xbyak::Reg64& bytes) {
  stream < std::size(bases_) ? add(bases_[stream], bytes) : add(base_word(stream), bytes);
}

void NativeWriter::move_base(size_t stream, int64_t bytes) {
  if (const auto near = static_cast<int32_t>(bytes); near == bytes) {
    stream < std::size(bases_) ? add(bases_[stream], static_cast<uint32_t>(near))
                               : add(base_word(stream), static_cast<uint32_t>(near));
  } else {
    mov(whole_, bytes);
    move_base(stream, whole_);
  }
}

void NativeWriter::enter(int words) {
  base_words_ = words;
  words += static_cast<int>(streams_.size() - std::min(streams_.size(), std::size(bases_)));
  words_ = (8 * (words + 1) + vector_bytes - 1) / vector_bytes;  // in vectors
  for (const Xbyak::Reg64& reg : kept_) push(reg);
  mov(whole_, rsp);
  sub(rsp, static_cast<uint32_t>((words_ + static_cast<int>(never_.size() + column_.size())) * vector_bytes));
  and_(rsp, -vector_bytes);
  mov(ptr[rsp], whole_);
  int next = words_;
  for (const std::vector<int>* nodes : {&never_, &column_})
    for (const int id : *nodes) slot_[static_cast<size_t>(id)] = next++;
}

void NativeWriter::leave() {
  mov(rsp, ptr[rsp]);
  for (size_t i = std::size(kept_); i-- > 0;) pop(kept_[i]);
  vzeroupper();
  ret();
}

// Each stream's address of element index_, for which index_ is 0 from then on.
void NativeWriter::find_bases() {
  for (size_t i = 0; i < streams_.size(); ++i) {
    mov(whole_, streams_[i].byte);
    add(whole_, ptr[addresses_ + static_cast<int>(streams_[i].buffer * sizeof(std::byte*))]);
    lea(whole_, ptr[whole_ + index_ * streams_[i].width]);
    set_base(i, whole_);
  }
  xor_(index_, index_);
}

}  // namespace descent::cpu
#endif
