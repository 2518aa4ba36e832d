// How far a correct device may be off: the reference, disturbed at every node as rounding would disturb it.
#pragma once

#include "descent/check/verdict.h"
#include "descent/compile/rewrite.h"

namespace descent::check {

struct Expected {
  std::vector<Dense> values;                 // one a result
  std::vector<std::vector<double>> allowed;  // absolute error, by result and element; all 0 where no node rounds
  bool bitwise = false;                      // the graph computes the same bits in whatever grouping: no sums in it
};

// The results of `graph` in exact arithmetic, with the error that rounding each core op's result to its dtype may make.
//
// The error is estimated by Monte Carlo arithmetic (Parker, "Monte Carlo arithmetic: exploiting randomness in
// floating-point computation", 1997): the graph, expanded into core ops, is evaluated several times in double with
// every rounding op's result off by up to one unit in the last place of its dtype and OpDef::absolute_error. What a sum
// of n terms may be off grows with the square root of n: eps * sqrt(n) * (|sum| + root of the sum of squares), in f32
// (f64 for f64). Ops that choose or copy (OpDef::exact) are not disturbed, nor are sums, products, quotients and roots
// of two numbers that come out as numbers of the dtype. Four times the largest deviation is allowed; where a number on
// the way leaves the range of its dtype and the result is lost, anything.
Expected expect(const Staged& staged, const std::map<std::string, Dense>& inputs);

Verdict compare(std::span<const Dense> got, const Expected& expected);

}  // namespace descent::check
