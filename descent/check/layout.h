#pragma once

#include "descent/check/row.h"

namespace descent::check {

std::span<const Layout> layouts();  // the first is dense

}  // namespace descent::check
