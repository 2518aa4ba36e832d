#include "descent/go/handicap.h"

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

int max_fixed_handicap(int size) { return size < 7 ? 0 : size == 7 || size % 2 == 0 ? 4 : 9; }

std::vector<Point> fixed_handicap(int size, int stones) {
  if (stones < 2 || stones > max_fixed_handicap(size))
    fail(text(stones, " handicap stones have no fixed places on a ", size, "x", size, " board"));
  const int low = size < 13 ? 2 : 3, high = size - 1 - low, middle = size / 2;
  const auto at = [&](int column, int row) { return static_cast<Point>(row * size + column); };
  std::vector<Point> out = {at(low, high), at(high, low)};
  if (stones >= 3) out.push_back(at(low, low));
  if (stones >= 4) out.push_back(at(high, high));
  if (stones >= 6) out.insert(out.end(), {at(low, middle), at(high, middle)});
  if (stones >= 8) out.insert(out.end(), {at(middle, high), at(middle, low)});
  if (stones >= 5 && stones % 2 == 1) out.push_back(at(middle, middle));
  return out;
}

std::vector<Point> star_points(int size) {
  const int most = max_fixed_handicap(size);
  if (most == 0) return {};
  if (most == 9 && size < 13) {  // the corners and the middle
    return fixed_handicap(size, 5);
  }
  return fixed_handicap(size, most);
}

}  // namespace descent::go
