// CIFAR-10's files (Krizhevsky, "Learning multiple layers of features from tiny images", 2009): records of 3,073
// bytes, a label and 32x32 pixels as three planes, red first.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "descent/data/dataset.h"

namespace descent::data {

// "airplane", "automobile", ..., "truck".
const std::vector<std::string>& cifar10_classes();

// One file as images u8 [N,32,32,3] and labels i32 [N]. Fails naming the file, its size or the record if it is no whole
// number of records, or a label is not 0 to 9.
Dataset read_cifar10_file(const std::string& path);
Dataset parse_cifar10(std::span<const std::byte> bytes, const std::string& name);

// data_batch_1.bin to data_batch_5.bin (those that are there, at least one), in their order, and test_batch.bin, which
// may be missing. The folder may also hold them in a folder called cifar-10-batches-bin.
Splits read_cifar10(const std::filesystem::path& folder);
bool holds_cifar10(const std::filesystem::path& folder);

// The binary records that a lossless PNG sheet (RGB, one image a row of 1,024 pixels) and its labels, numbers in a JSON
// list from `first_label` on, were made from. Fails naming `name` and what does not fit.
std::string cifar10_from_sheet(std::span<const std::byte> png, std::string_view labels, int64_t first_label,
                               const std::string& name);

}  // namespace descent::data
