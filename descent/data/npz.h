// NumPy's files: .npy (one array) and .npz (a zip of them); format versions 1, 2 and 3.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "descent/core/array.h"
#include "descent/data/dataset.h"

namespace descent::data {

// An .npy file. f16, f32, f64, u8 and bool stay as they are, u32 stays, and the other integers become i32 (int64 and
// uint64 too: fails naming the element that does not fit). C and Fortran order, either byte order. Fails naming the
// file if the header cannot be read or says another size than the file holds, before anything of that size is
// allocated.
Array read_npy(const std::string& path);
Array parse_npy(std::span<const std::byte> bytes, const std::string& name);

// The arrays of an .npz file by their names (without ".npy").
std::map<std::string, Array> read_npz(const std::string& path);
std::map<std::string, Array> parse_npz(std::span<const std::byte> bytes, const std::string& name);

// A data set from the arrays of an .npz file: x and y, or x_train, y_train and perhaps x_validation, y_validation,
// x_test, y_test (also spelled inputs/targets, images/labels, data/target; "val" for "validation"). Integer y are
// classes 0 ... max; floating y [N] or [N,K] are numbers. Inputs: u8 images stay; other numbers become f32. Without a
// test part everything is in `train`.
Splits read_npz_dataset(const std::string& path);

}  // namespace descent::data
