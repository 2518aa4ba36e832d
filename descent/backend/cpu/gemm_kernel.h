// The kernels of gemm.h over a vector type V, which states: width (lanes), reg, zero, load, store (masked tails through
// count), set1, fma (the product-sum of two units), add, relu, to bf16. Included once per instruction set, inside that
// set's target pragma; so nothing here may come from the standard library's templates.
#pragma once

namespace descent::cpu::gemm {
namespace {

template <class V>
struct Gemm {
  static constexpr int width = V::width;
  static constexpr int per_unit = V::bf16 ? 2 : 1;  // elements along k in a unit
  static constexpr int bytes = 4 / per_unit;        // of an element

  static int64_t units(int64_t k) { return (k + per_unit - 1) / per_unit; }
  static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

  // Vectors a panel is wide: few columns want more rows in the registers.
  static int vectors_for(int64_t n) { return n <= width ? 1 : n <= 2 * width ? 2 : V::widest; }
  static int64_t panel_for(int64_t n) { return int64_t{vectors_for(n)} * width; }

  // A can be broadcast unit by unit from where it lies: rows contiguous and made of whole units; or columns of f32
  // whose stride does not send every row to the same cache set.
  static bool direct_a(const Problem& p) {
    if (p.a.column_stride == 1) return !V::bf16 || (p.k % 2 == 0 && p.a.row_stride % 2 == 0);
    return !V::bf16 && p.a.row_stride == 1 && (p.a.column_stride * 4) % 4096 != 0;
  }

  // The most rows whose sums stay in registers beside the panel's vectors.
  template <int vectors>
  static constexpr int most_rows = V::registers >= 32 ? (vectors == 4 ? 6 : 12) : (vectors == 2 ? 6 : 12);

  // Rows come in tiles of nearly equal height, the highest that leaves room in the registers for a panel's vectors.
  static int64_t most_rows_for(int64_t n) {
    const int vectors = vectors_for(n);
    return vectors == 1 ? most_rows<1> : vectors == 2 ? most_rows<2> : most_rows<4>;
  }
  static int64_t tiles(const Problem& p) { return (p.m + most_rows_for(p.n) - 1) / most_rows_for(p.n); }
  static int64_t tile_row(const Problem& p, int64_t tile) { return p.m * tile / tiles(p); }

  // The shared copy holds tile after tile, each unit by unit: row i of a tile of h rows has its unit u at u * h + i.
  static size_t shared_bytes(const Problem& p) { return direct_a(p) ? 0 : static_cast<size_t>(units(p.k) * p.m * 4); }
  static size_t panel_bytes(const Problem& p) { return static_cast<size_t>(units(p.k) * panel_for(p.n) * 4 + 63) / 64 * 64; }

  // --- copies ---

  // One unit of a matrix whose element (k, x) is at data + k * ks + x * xs; beyond k it is zero.
  static uint32_t unit_at(const std::byte* data, int64_t k, int64_t size, int64_t ks, int64_t x, int64_t xs) {
    if constexpr (!V::bf16) {
      return reinterpret_cast<const uint32_t*>(data)[k * ks + x * xs];
    } else {
      const auto* elements = reinterpret_cast<const uint16_t*>(data);
      const uint32_t low = elements[k * ks + x * xs];
      const uint32_t high = k + 1 < size ? elements[(k + 1) * ks + x * xs] : 0u;
      return low | high << 16;
    }
  }

  // to[u * to_stride + i] = unit u of line x0 + i, for `count` neighbouring lines x; the rest of `width_to` is zero.
  static void copy_units(const std::byte* data, int64_t k, int64_t ks, int64_t xs, int64_t x0, int64_t count, int64_t width_to,
                         uint32_t* to, int64_t to_stride) {
    if (xs == 1) return copy_along(data, k, ks, x0, count, width_to, to, to_stride);
    for (int64_t i = 0; i < width_to; i += 16) {
      const int64_t lines = min(16, count - i);
      if (lines > 0 && ks == 1) copy_across(data, k, xs, x0 + i, lines, to + i, to_stride, min(16, width_to - i));
      else copy_slowly(data, k, ks, xs, x0 + i, lines, min(16, width_to - i), to + i, to_stride);
    }
  }

  static void copy_slowly(const std::byte* data, int64_t k, int64_t ks, int64_t xs, int64_t x0, int64_t count, int64_t width_to,
                          uint32_t* to, int64_t to_stride) {
    for (int64_t u = 0; u < units(k); ++u)
      for (int64_t i = 0; i < width_to; ++i)
        to[u * to_stride + i] = i < count ? unit_at(data, u * per_unit, k, ks, x0 + i, xs) : 0;
  }

  // Lines are neighbours in memory: whole vectors, for bf16 two rows interleaved.
  static void copy_along(const std::byte* data, int64_t k, int64_t ks, int64_t x0, int64_t count, int64_t width_to, uint32_t* to,
                         int64_t to_stride) {
    for (int64_t u = 0; u < units(k); ++u) {
      uint32_t* row = to + u * to_stride;
      for (int64_t i = 0; i < width_to; i += width) {
        const int64_t left = count - i < 0 ? 0 : count - i, room = min(width, width_to - i);
        V::store_units(row + i, V::units_along(data, u * per_unit, k, ks, x0 + i, left), room);
      }
    }
  }

  // Units are neighbours in memory: blocks of 16 x 16 units are transposed, the rest is gathered.
  static void copy_across(const std::byte* data, int64_t k, int64_t xs, int64_t x0, int64_t count, uint32_t* to, int64_t to_stride,
                          int64_t width_to) {
    const std::byte* from = data + x0 * xs * bytes;
    const int64_t whole = k / per_unit;  // the last half unit goes slowly
    int64_t u = 0;
    if (width_to == 16 && count == 16)
      for (; u + 16 <= whole; u += 16) V::transpose(from + u * 4, xs * bytes, to + u * to_stride, to_stride);
    for (; u < whole; ++u) V::gather(from + u * 4, xs * bytes, count, to + u * to_stride, width_to);
    for (; u < units(k); ++u)
      for (int64_t i = 0; i < width_to; ++i) to[u * to_stride + i] = i < count ? unit_at(data, u * per_unit, k, 1, x0 + i, xs) : 0;
  }

  static void share_a(const Problem& p, std::byte* shared, int64_t part, int64_t parts) {
    for (int64_t t = tiles(p) * part / parts; t < tiles(p) * (part + 1) / parts; ++t) {
      const int64_t first = tile_row(p, t), height = tile_row(p, t + 1) - first;
      copy_units(p.a.data, p.k, p.a.column_stride, p.a.row_stride, first, height, height,
                 reinterpret_cast<uint32_t*>(shared) + first * units(p.k), height);
    }
  }

  // --- the product ---

  struct Tile {
    const float* a;
    int64_t a_row, a_unit;  // strides in units
    const float* b;
    int64_t units;
    int64_t row, column;
  };

  template <int rows, int vectors>
  static void tile(const Problem& p, const Tile& t) {
    typename V::reg sum[rows][vectors];
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[i][v] = V::zero();
    const float *a = t.a, *b = t.b;
#pragma GCC unroll 1
    for (int64_t u = 0; u < t.units; ++u) {
      typename V::reg right[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) right[v] = V::load(b + v * width);
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        const typename V::reg left = V::set1(a[i * t.a_row]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sum[i][v] = V::fma(left, right[v], sum[i][v]);
      }
      a += t.a_unit;
      b += vectors * width;
    }
    finish<rows, vectors>(p, t, sum);
  }

  template <int rows, int vectors>
  static void finish(const Problem& p, const Tile& t, typename V::reg (&sum)[rows][vectors]) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) {
      const int64_t column = t.column + v * width, left = p.n - column;
      if (left <= 0) continue;
      const typename V::reg bias = p.bias ? V::load_some(p.bias + column, left) : V::zero();
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i) {
        typename V::reg x = V::add(sum[i][v], bias);
        if (p.relu) x = V::relu(x);
        const int64_t at = (t.row + i) * p.ldc + column;
        if (p.c_bf16) V::store_bf16(reinterpret_cast<uint16_t*>(p.c) + at, x, left);
        else V::store_some(reinterpret_cast<float*>(p.c) + at, x, left);
      }
    }
  }

  using TileFunction = void (*)(const Problem&, const Tile&);

  template <int vectors>
  static TileFunction tile_for(int64_t rows) {
    if constexpr (most_rows<vectors> == 6) {
      static constexpr TileFunction table[] = {tile<1, vectors>, tile<2, vectors>, tile<3, vectors>, tile<4, vectors>, tile<5, vectors>, tile<6, vectors>};
      return table[rows - 1];
    } else {
      static constexpr TileFunction table[] = {tile<1, vectors>, tile<2, vectors>, tile<3, vectors>, tile<4, vectors>, tile<5, vectors>, tile<6, vectors>,
                                               tile<7, vectors>, tile<8, vectors>, tile<9, vectors>, tile<10, vectors>, tile<11, vectors>, tile<12, vectors>};
      return table[rows - 1];
    }
  }

  // Some tiles of rows against one packed panel.
  template <int vectors>
  static void rows_times_panel(const Problem& p, const std::byte* shared, const float* panel, int64_t begin, int64_t end, int64_t column) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = tile_row(p, i), height = tile_row(p, i + 1) - first;
      Tile t{nullptr, 0, 0, panel, units(p.k), first, column};
      if (!direct_a(p)) {
        t.a = reinterpret_cast<const float*>(shared) + first * units(p.k);
        t.a_row = 1;
        t.a_unit = height;
      } else {
        t.a_row = p.a.column_stride == 1 ? p.a.row_stride / per_unit : 1;
        t.a_unit = p.a.column_stride == 1 ? 1 : p.a.column_stride;
        t.a = reinterpret_cast<const float*>(p.a.data) + first * t.a_row;
      }
      tile_for<vectors>(height)(p, t);
    }
  }

  static void pack(const Problem& p, int64_t panel, int64_t count, std::byte* to) {
    const int64_t columns = panel_for(p.n);
    for (int64_t i = 0; i < count; ++i, to += panel_bytes(p)) {
      const int64_t column = (panel + i) * columns;
      copy_units(p.b.data, p.k, p.b.row_stride, p.b.column_stride, column, min(columns, p.n - column), columns,
                 reinterpret_cast<uint32_t*>(to), columns);
    }
  }

  static void multiply(const Problem& p, const std::byte* shared, const std::byte* panels, std::byte*, int64_t tile_begin,
                       int64_t tile_end, int64_t panel, int64_t count) {
    const int vectors = vectors_for(p.n);
    for (int64_t i = 0; i < count; ++i, panels += panel_bytes(p)) {
      const auto* packed = reinterpret_cast<const float*>(panels);
      const int64_t column = (panel + i) * panel_for(p.n);
      if (vectors == 1) rows_times_panel<1>(p, shared, packed, tile_begin, tile_end, column);
      if (vectors == 2) rows_times_panel<2>(p, shared, packed, tile_begin, tile_end, column);
      if constexpr (V::widest == 4)
        if (vectors == 4) rows_times_panel<4>(p, shared, packed, tile_begin, tile_end, column);
    }
  }

  // As many sums as hide the unit's latency.
  static double exercise(int64_t rounds) {
    constexpr int sums = 10;
    typename V::reg sum[sums];
    const typename V::reg x = V::set1(0x1p-60f);
#pragma GCC unroll 10
    for (int i = 0; i < sums; ++i) sum[i] = V::zero();
#pragma GCC unroll 1
    for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 10
      for (int i = 0; i < sums; ++i) sum[i] = V::fma(x, x, sum[i]);
    }
    alignas(64) float kept[width];
    for (int i = 1; i < sums; ++i) sum[0] = V::add(sum[0], sum[i]);
    V::store_some(kept, sum[0], width);
    asm volatile("" : : "r"(kept) : "memory");  // so that the sums are wanted
    return 2.0 * sums * width * per_unit * static_cast<double>(rounds);
  }

  static constexpr Kernels table(const char* name) {
    return {
        name,        false, [](const Problem& p) { return panel_for(p.n); }, tiles,    tile_row, shared_bytes, share_a,
        panel_bytes, pack,  [](const Problem&) { return size_t{0}; },        multiply, exercise};
  }
};

}  // namespace
}  // namespace descent::cpu::gemm
