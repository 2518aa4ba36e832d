// The inner loops of convolutions, on matrix tiles (AMX) in bf16 and on vectors (AVX-512) in f32.
//
// Thirty-two images lie side by side, one pixel of all of them after another. So no tile or vector meets the edge of an
// image: windows that hang over an edge just have fewer pixels, nothing is padded and nothing is multiplied by zero,
// and an image of 4 x 4 fills them as one of 32 x 32 does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace descent::cpu::conv_tiles {

constexpr int64_t images = 32;   // side by side
constexpr int64_t results = 32;  // channels of a result that are made at a time
// A block: some channels of one pixel of 32 images, 64 bytes each; or as many rows of 32 columns of weights.
constexpr int64_t block_bytes = 2048;

// Pixels of `count` images, some elements apart from image to image and from pixel to pixel; beyond the images and
// `channels` are zeros.
struct Pixels {
  const std::byte* x;
  int64_t image_stride, pixel_stride, count, pixels, channels;
};

// Whole windows as the channels of a pixel, made from parts of rows of the image: element mask's lowest bit comes from
// the image's element offset + that bit's number.
struct Part {
  int32_t offset;
  uint32_t mask;
};
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

// Sums over pixels of 32 images: a block of channels of x times up to 32 of g. A source is a pixel of x and one of g.
struct Pair {
  int32_t x, g;
};
struct Accumulate {
  const std::byte *x, *g;  // left and right operands: the first blocks that are wanted
  int64_t x_pixel, g_pixel, x_group,
      g_group;  // bytes from a pixel to the next, and from one group of images to the next
  const Pair* pairs;
  int64_t count, groups;
  float* sums;
  int64_t stride;           // in elements
  bool add;                 // to what is there
  int64_t rows;             // channels of x's block that are wanted
  bool narrow_g;            // at most 16 channels
};

// What one instruction set offers.
struct Kernels {
  const char* name;
  int64_t channels;  // of a block

  // Each thread calls start() before its first multiply() or accumulate(), and finish() after its last.
  void (*start)();
  void (*finish)();

  // Give [pixel][block of channels][image][channels of a block]. Of windows, from.channels are those of the window;
  // block b of pixel p has the parts first[p * blocks + b] up to the next.
  void (*lay_pixels)(const Pixels& from, std::byte* to);
  void (*lay_windows)(const Pixels& from, const int32_t* first, const Part* parts, std::byte* to);

  // Such blocks made left and right operands of a product that is summed over images; null: they are as they lie.
  void (*transpose)(const std::byte* from, int64_t blocks, std::byte* to);
  void (*interleave)(const std::byte* from, int64_t blocks, std::byte* to);

  // A tile of weights, `rows` (at most a block's channels, summed over) x `columns` (at most 16); one of the strides
  // is 1.
  void (*pack_weights)(const std::byte* from, int64_t row_stride, int64_t column_stride, int64_t rows, int64_t columns,
                       std::byte* to);

  void (*multiply)(const Multiply& job);
  void (*accumulate)(const Accumulate& job);
};

// Null where the processor lacks the instructions.
const Kernels* amx_bf16();
const Kernels* avx512_f32();

}  // namespace descent::cpu::conv_tiles
