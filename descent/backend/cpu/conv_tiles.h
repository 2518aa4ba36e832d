// The inner loops of convolutions on matrix tiles (AMX), in bf16.
//
// Thirty-two images lie side by side: the rows of two tiles are one pixel of 32 images, so a tile never meets the edge
// of an image. Windows that hang over an edge just have fewer pixels, nothing is padded and nothing is multiplied by
// zero, and an image of 4 x 4 fills the tiles as one of 32 x 32 does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace descent::cpu::conv_tiles {

constexpr int64_t images = 32;    // side by side
constexpr int64_t channels = 32;  // of a block
// A block: 32 channels of one pixel of 32 images, or 32 x 32 weights. Two tiles of 1 KiB.
constexpr int64_t block_bytes = 2048;

// False where the processor lacks the tiles; then nothing else here may be called.
bool available();

// Each thread calls start() before its first multiply() or accumulate(), and finish() after its last.
void start();
void finish();

// Pixels of `count` images, some elements apart from image to image and from pixel to pixel; beyond the images and
// `channels` are zeros.
struct Pixels {
  const uint16_t* x;
  int64_t image_stride, pixel_stride, count, pixels, channels;
};
// Gives [pixel][block of channels][image][32 channels].
void lay_pixels(const Pixels& from, std::byte* to);

// Whole windows as the channels of a pixel, made from parts of rows of the image: element mask's lowest bit comes from
// the image's element offset + that bit's number.
struct Part {
  int32_t offset;
  uint32_t mask;
};
// from.channels are those of the window; block b of pixel p has the parts first[p * blocks + b] up to the next.
void lay_windows(const Pixels& from, const int32_t* first, const Part* parts, std::byte* to);

// Blocks as lay_*() gives them, for sums over images: [two tiles][16 channels][32 images], a left operand's, or
// [two tiles][16 pairs of images][16 channels][2], a right operand's.
void transpose(const std::byte* from, int64_t blocks, std::byte* to);
void interleave(const std::byte* from, int64_t blocks, std::byte* to);

// A tile of weights, `rows` (at most 32, summed over) x `columns` (at most 16); one of the strides is 1.
void pack_weights(const uint16_t* from, int64_t row_stride, int64_t column_stride, int64_t rows, int64_t columns,
                  std::byte* to);

struct Source {
  int32_t pixel, tap;
};

// Results from `begin` to `end`: up to 32 channels of each, of up to 32 images.
struct Multiply {
  const std::byte* pixels;   // laid; `blocks` blocks a pixel
  const std::byte* weights;  // by tap and block: one tile, or two if there are more than 16 channels
  int64_t blocks;
  const int32_t* first;  // by result: its first source, and one more
  const Source* sources;
  int64_t begin, end;
  std::byte* out;                       // of result 0
  bool bf16;                            // else f32
  int64_t result_stride, image_stride;  // in elements
  int64_t images, channels;
};
void multiply(const Multiply& job);

// Sums over pixels of 32 images: up to 32 x 32 weights. A source is a pixel of x and one of g.
struct Pair {
  int32_t x, g;
};
struct Accumulate {
  const std::byte *x, *g;  // transposed and interleaved: the first blocks that are wanted
  int64_t x_pixel, g_pixel, x_group,
      g_group;  // bytes from a pixel to the next, and from one group of images to the next
  const Pair* pairs;
  int64_t count, groups;
  float* sums;
  int64_t stride;           // in elements
  bool add;                 // to what is there
  bool narrow_x, narrow_g;  // at most 16 channels
};
void accumulate(const Accumulate& job);

}  // namespace descent::cpu::conv_tiles
