// Any bytes as a file of CIFAR-10's records, alone and repeated up to a whole number of records; and as the JSON labels
// of a sheet.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "descent/base/error.h"
#include "descent/data/cifar.h"

namespace {

using namespace descent;

void read(std::span<const std::byte> bytes) {
  try {
    const data::Dataset data = data::parse_cifar10(bytes, "input");
    if (data.size() * 3073 != static_cast<int64_t>(bytes.size())) std::abort();
    for (const int32_t label : data.targets.as<int32_t>())
      if (label < 0 || label > 9) std::abort();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  read(bytes);
  if (size == 0) return 0;
  std::vector<std::byte> whole;
  for (size_t i = 0; i < 2 * 3073; ++i) whole.push_back(bytes[i % size]);
  read(whole);
  try {
    data::cifar10_from_sheet(bytes, {reinterpret_cast<const char*>(data), size}, size % 7, "input");
  } catch (const Error&) {
  }
  return 0;
}
