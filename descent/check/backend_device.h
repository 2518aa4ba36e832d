// A backend as a device of the table.
#pragma once

#include "descent/check/check.h"
#include "descent/runtime/backend.h"

namespace descent::check {

// Compiles and runs on `backend`. With RunOptions::poison every buffer, temporaries too, gets memory of its own, full
// of NaN and with guards on both sides: that shows reads of what was never written, writes outside of buffers, and, by
// other results than in the arena, temporaries that overlap there.
Device backend_device(Backend& backend);

}  // namespace descent::check
