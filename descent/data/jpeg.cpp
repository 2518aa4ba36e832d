#include "descent/data/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "descent/base/text.h"
#include "descent/data/file.h"
#include "descent/data/image.h"

namespace descent::data {

namespace {

// --- EXIF (CIPA DC-008): a small TIFF file in an APP1 segment ---

class Tiff {
 public:
  explicit Tiff(std::span<const std::byte> bytes) : bytes_(bytes), big_(has_text(0, "MM")) {}

  bool is_sound() const { return (big_ || has_text(0, "II")) && number(2, 2) == 42; }

  // The value of a tag of the first directory that is one 16-bit number.
  std::optional<size_t> short_value(size_t tag) const {
    const std::optional<size_t> directory = number(4, 4);
    const std::optional<size_t> count = directory ? number(*directory, 2) : std::nullopt;
    constexpr size_t entry_size = 12, short_kind = 3;
    for (size_t i = 0; i < count.value_or(0); ++i) {
      const size_t at = *directory + 2 + i * entry_size;
      if (number(at, 2) == tag && number(at + 2, 2) == short_kind && number(at + 4, 4) == 1) return number(at + 8, 2);
    }
    return std::nullopt;
  }

 private:
  bool has_text(size_t at, std::string_view text) const {
    return bytes_.size() >= at + text.size() && std::memcmp(bytes_.data() + at, text.data(), text.size()) == 0;
  }

  std::optional<size_t> number(size_t at, size_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return std::nullopt;
    size_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value = value << 8 | std::to_integer<size_t>(bytes_[at + (big_ ? i : size - 1 - i)]);
    return value;
  }

  std::span<const std::byte> bytes_;
  bool big_;
};

constexpr size_t orientation_tag = 0x0112;
constexpr std::string_view exif_head{"Exif\0\0", 6};

// --- libjpeg, whose errors jump ---

struct Errors {
  jpeg_error_mgr base;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
  int code;
};

[[noreturn]] void jump_back(j_common_ptr info) {
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  errors->code = errors->base.msg_code;
  errors->base.format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}

// What cameras and programs get wrong without harm to the picture.
bool is_harmless(int code) {
  static constexpr std::array<int, 4> harmless{JWRN_EXTRANEOUS_DATA, JWRN_ADOBE_XFORM, JWRN_JFIF_MAJOR, JWRN_BOGUS_ICC};
  return std::ranges::find(harmless, code) != harmless.end();
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && !is_harmless(info->err->msg_code)) jump_back(info);
}

void say_nothing(j_common_ptr) {}

// A progressive file may have any number of scans, each of which passes over the whole image.
constexpr int most_scans = 100;
constexpr const char* too_many_scans = "it has more than 100 scans";

void check_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= most_scans) return;
  auto* const errors = reinterpret_cast<Errors*>(info->err);
  errors->code = 0;
  std::strcpy(errors->message, too_many_scans);
  std::longjmp(errors->back, 1);
}

class Decoder {
 public:
  explicit Decoder(const std::string& name) : name_(name) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = jump_back;
    errors_.base.emit_message = on_message;
    errors_.base.output_message = say_nothing;
    progress_.progress_monitor = check_scans;
    guarded([this] { jpeg_create_decompress(&info_); });
    info_.progress = &progress_;
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  void read_header(std::span<const std::byte> bytes) {
    guarded([&] {
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&info_, TRUE);
    });
  }

  // Chooses the colours that come out.
  void set_colours() {
    switch (info_.jpeg_color_space) {
      case JCS_GRAYSCALE: info_.out_color_space = JCS_GRAYSCALE; return;
      case JCS_RGB:
      case JCS_YCbCr: info_.out_color_space = JCS_RGB; return;
      case JCS_CMYK:
      case JCS_YCCK: info_.out_color_space = JCS_CMYK; return;
      default:
        fail(text(name_, ": a JPEG image of ", info_.num_components,
                  " components is neither grey nor colour nor CMYK, so it cannot be shown"));
    }
  }

  // The smallest of 8/8, 4/8, 2/8 and 1/8 that keeps `enough` pixels along both sides.
  void set_scale(int64_t enough) {
    const int64_t side = std::min(info_.image_width, info_.image_height);
    info_.scale_denom = 8;
    info_.scale_num = 8;
    while (enough > 0 && info_.scale_num > 1 && side * info_.scale_num / 16 >= enough) info_.scale_num /= 2;
  }

  void start() {
    guarded([this] { jpeg_start_decompress(&info_); });
  }

  void read_row(uint8_t* row) {
    guarded([&] {
      JSAMPROW rows[1] = {row};
      jpeg_read_scanlines(&info_, rows, 1);
    });
  }

  const jpeg_decompress_struct& info() const { return info_; }

 private:
  // Runs a step whose own frame holds nothing that needs a destructor, since libjpeg's errors jump over it.
  template <class Step>
  void guarded(const Step& step) {
    if (setjmp(errors_.back) != 0) fail_by_library();
    step();
  }

  [[noreturn]] void fail_by_library() const {
    if (errors_.code == JWRN_JPEG_EOF || errors_.code == JERR_INPUT_EOF || errors_.code == JERR_INPUT_EMPTY)
      fail(text(name_, ": truncated: the JPEG image ends before its last pixel"));
    fail(text(name_, ": damaged JPEG image: ", errors_.message));
  }

  const std::string& name_;
  Errors errors_{};
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct info_{};
};

void check_start(std::span<const std::byte> bytes, const std::string& name) {
  constexpr std::array<std::byte, 3> start{std::byte{0xff}, std::byte{0xd8}, std::byte{0xff}};
  if (bytes.size() < start.size() || !std::equal(start.begin(), start.end(), bytes.begin()))
    fail(text(name, ": not a JPEG image: it does not begin with JPEG's marker"));
}

void check_size(const jpeg_decompress_struct& info, size_t bytes, int64_t max_pixels, const std::string& name) {
  const int64_t width = info.image_width, height = info.image_height;
  if (width * height > max_pixels)
    fail(text(name, ": an image of ", width, " x ", height, " pixels is too large: at most ", max_pixels,
              " pixels can be read"));
  if (info.arith_code != 0) fail(text(name, ": a JPEG image with arithmetic coding, which is not read"));
  // The shortest code is one bit a block, and the fewest blocks are 7 for 512 pixels (see T.81, A.2.3): below 600.
  constexpr int64_t most_pixels_a_byte = 600;
  if (width * height / most_pixels_a_byte > static_cast<int64_t>(bytes))
    fail(text(name, ": its header says ", width, " x ", height, " pixels, but its ", bytes,
              " bytes cannot hold so many"));
}

// Ink to light. Adobe's programs store 255 for no ink.
void cmyk_to_rgb(std::span<const uint8_t> from, uint8_t* to, bool inverted) {
  const int flip = inverted ? 0 : 255;
  for (size_t i = 0; i + 3 < from.size(); i += 4, to += 3)
    for (size_t c = 0; c < 3; ++c)
      to[c] = static_cast<uint8_t>(((from[i + c] ^ flip) * (from[i + 3] ^ flip) + 127) / 255);
}

Array decoded(Decoder& decoder) {
  const jpeg_decompress_struct& info = decoder.info();
  const int64_t height = info.output_height, width = info.output_width;
  const bool grey = info.out_color_space == JCS_GRAYSCALE, cmyk = info.out_color_space == JCS_CMYK;
  Array out(DType::u8, grey ? Shape{height, width} : Shape{height, width, 3});
  std::vector<uint8_t> ink(cmyk ? static_cast<size_t>(4 * width) : 0);
  uint8_t* row = out.as<uint8_t>().data();
  for (int64_t y = 0; y < height; ++y, row += width * (grey ? 1 : 3)) {
    decoder.read_row(cmyk ? ink.data() : row);
    if (cmyk) cmyk_to_rgb(ink, row, info.saw_Adobe_marker != 0);
  }
  return out;
}

}  // namespace

int jpeg_orientation(std::span<const std::byte> bytes) {
  constexpr unsigned start_of_scan = 0xda, app1 = 0xe1;
  for (size_t at = 2; at + 4 <= bytes.size() && bytes[at] == std::byte{0xff};) {
    const auto marker = std::to_integer<unsigned>(bytes[at + 1]);
    if (marker == 0xff) {  // fill
      ++at;
      continue;
    }
    const size_t length = std::to_integer<size_t>(bytes[at + 2]) << 8 | std::to_integer<size_t>(bytes[at + 3]);
    if (marker == start_of_scan || length < 2 || length > bytes.size() - at - 2) return 1;
    const std::span<const std::byte> content = bytes.subspan(at + 4, length - 2);
    if (marker == app1 && content.size() > exif_head.size() &&
        std::memcmp(content.data(), exif_head.data(), exif_head.size()) == 0) {
      const Tiff tiff(content.subspan(exif_head.size()));
      const size_t value = tiff.is_sound() ? tiff.short_value(orientation_tag).value_or(1) : 1;
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    at += 2 + length;
  }
  return 1;
}

Array parse_jpeg(std::span<const std::byte> bytes, const std::string& name, const JpegOptions& options) {
  check_start(bytes, name);
  Decoder decoder(name);
  decoder.read_header(bytes);
  check_size(decoder.info(), bytes.size(), options.max_pixels, name);
  decoder.set_colours();
  decoder.set_scale(options.enough);
  decoder.start();
  return upright(decoded(decoder), jpeg_orientation(bytes));
}

Array read_jpeg(const std::string& path, const JpegOptions& options) {
  return parse_jpeg(read_to_array(path).bytes(), path, options);
}

}  // namespace descent::data
