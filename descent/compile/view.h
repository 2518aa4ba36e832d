// The algebra of views: how reshape, permute, broadcast, slice and flip dissolve into strides.
#pragma once

#include <optional>

#include "descent/compile/program.h"

namespace descent {

// The whole of a dense buffer of that shape.
View dense_view(BufferId buffer, const Type& type);

// What the view op `node` makes of `view`, whose sizes are the shape of the node's input (or any with as many
// elements, for reshape). Nothing where a reshape cannot be written with strides: the input must be copied first.
std::optional<View> through(const Node& node, const View& view);

// The same map with the fewest axes: sizes of 1 dropped, neighbours merged where their strides allow.
View collapsed(View view);

// The same map with exactly these sizes, where strides allow.
std::optional<View> with_sizes(const View& view, const Shape& sizes);

}  // namespace descent
