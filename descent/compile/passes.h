// The passes: each takes a graph and gives a graph that computes the same (mixed_precision: nearly the same).
#pragma once

#include "descent/compile/rewrite.h"

namespace descent {

// Folds scalar constants, drops what does nothing (x + 0, x * 1, a reshape to the same shape, a cast there and back),
// and what no result needs.
Staged simplify(const Staged& from);

// Matrix products take bf16 operands and accumulate in f32; every other computation stays in f32. A value that some
// product needs in bf16 is kept in bf16 alone: everybody reads the rounded one, so that it is stored once.
// Parameters stay f32 (Micikevicius et al., "Mixed Precision Training", 2018; no loss scaling: bf16 has f32's range).
Staged mixed_precision(const Staged& from);

// Makes one product of the sum of products that a weight's gradient is where the weight is used in many steps.
Staged join_products(const Staged& from);

// Claims what the library does in a matrix product's epilogue: bias, activation, rounding of the result.
Staged claim_epilogues(const Staged& from);

// Whether the backend takes a composite op, on inputs of these types, as it is. None given: it takes none.
using RunsWhole = std::function<bool(const OpDef& op, std::span<const Type> inputs)>;

// Attention and its gradient become fused ones where the backend will take these with inputs in bf16, and are expanded
// where not, so that mixed_precision sees their products; splits become the views that they are, which it rounds below.
Staged claim_attention(const Staged& from, const RunsWhole& runs_whole);

// Replaces every composite by its expansion, until only core ops (and claims) are left, and what the backend takes.
Staged expand_composites(const Staged& from, const RunsWhole& runs_whole = {});

// Brings reductions into the two forms loop kernels have: over the last axes, or over the first ones.
Staged normalize_reductions(const Staged& from);

// Copies where a view cannot be written with strides, and where a result would be a view, an input or a constant.
Staged legalize_views(const Staged& from);

}  // namespace descent
