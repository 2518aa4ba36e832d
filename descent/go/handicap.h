// Where handicap stones go.
#pragma once

#include <vector>

#include "descent/go/point.h"

namespace descent::go {

// How many stones have fixed places (GTP version 2, "Fixed Handicap Placement"): 9 on odd boards from 9 on, 4 on even
// ones from 8 on and on 7x7, none on smaller ones.
int max_fixed_handicap(int size);

// Those places, in GTP's order; fails unless `stones` is 2 to max_fixed_handicap(size).
std::vector<Point> fixed_handicap(int size, int stones);

// The points that boards are marked with.
std::vector<Point> star_points(int size);

}  // namespace descent::go
