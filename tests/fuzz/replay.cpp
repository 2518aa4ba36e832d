// Runs a fuzz target without libFuzzer: every seed of its corpus, and changes of them that are the same at every run.
// The real search needs Clang (see CMakeLists.txt here); this keeps what it found, and a little more, in every test
// run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

// One to four changes: a byte set, bytes taken out, bytes repeated, or the end cut off.
Bytes changed(Bytes bytes, std::mt19937& draw) {
  for (unsigned i = draw() % 4 + 1; i > 0 && !bytes.empty(); --i) {
    const auto at = static_cast<std::ptrdiff_t>(draw() % bytes.size());
    const auto count =
        static_cast<std::ptrdiff_t>(std::min<size_t>(draw() % 8 + 1, bytes.size() - static_cast<size_t>(at)));
    switch (draw() % 4) {
      case 0: bytes[static_cast<size_t>(at)] = static_cast<uint8_t>(draw()); break;
      case 1: bytes.erase(bytes.begin() + at, bytes.begin() + at + count); break;
      case 2: {
        const Bytes part(bytes.begin() + at, bytes.begin() + at + count);
        bytes.insert(bytes.begin() + at, part.begin(), part.end());
        break;
      }
      default: bytes.resize(static_cast<size_t>(at));
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "replay CORPUS RUNS\n"), 2;
  std::vector<Bytes> seeds{{}};
  if (std::filesystem::exists(argv[1]))
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
      std::ifstream file(entry.path(), std::ios::binary);
      seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  std::mt19937 draw(1);
  const long runs = std::atol(argv[2]);
  for (const Bytes& seed : seeds) LLVMFuzzerTestOneInput(seed.data(), seed.size());
  for (long i = 0; i < runs; ++i) {
    const Bytes input = changed(seeds[draw() % seeds.size()], draw);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%zu seeds and %ld changes of them\n", seeds.size(), runs);
}
