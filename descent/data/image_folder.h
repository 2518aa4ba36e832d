// Images in folders, a class each, or listed in a table; of any sizes, brought to one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "descent/data/dataset.h"
#include "descent/data/image.h"

namespace descent::data {

struct ImageFiles {
  std::vector<std::string> paths;
  std::vector<int32_t> labels;  // into the list's classes

  int64_t size() const { return static_cast<int64_t>(paths.size()); }
};

// Which files there are; nothing of them is read yet.
struct ImageList {
  std::string source;                // the folder or table, as errors call it
  std::vector<std::string> classes;  // sorted
  ImageFiles train, validation, test;
};

// A folder: ROOT/CLASS/NAME.png (or .jpg, .jpeg; what is hidden or called otherwise is passed over), or, where there is
// a folder ROOT/train, its parts ROOT/train/CLASS/.., ROOT/validation (or val, valid) and ROOT/test, those that are
// there. A table: a CSV file with a header, whose columns `path` (or file, filename, image; relative to the table) and
// `label` (or class) name each image and its class, and `split`, if there is one, its part: train, validation or test;
// without it all are in the training part. Fails, naming the folder or the table's line, if there are no classes, only
// one, a class without images, or a part with a class that training has not.
ImageList list_images(const std::filesystem::path& path);

// True for a folder that list_images() could take: it has folders with images in them.
bool holds_images(const std::filesystem::path& path);

// Moves files from the training part to the other two, where these are empty: of each class its share, at least one
// staying. Who moves is told by a hash of the seed, the file's size and its first 64 KiB: whatever the files are called
// and in whatever order they come, and a double of an image stays beside it. Fails if a file cannot be read, or too few
// are there for a part.
void divide_images(ImageList& list, Fractions fractions, uint64_t seed);

// What the images are like, as told by some of them, spread evenly over the training part.
struct ImageFacts {
  int64_t seen = 0;
  int64_t side = 0;   // the median of the shorter sides, in pixels; large ones count as 256
  bool grey = false;  // none has colours to speak of
};
ImageFacts image_facts(const ImageList& list, int64_t most = 48);

// A list's classes and files as a data set, each image decoded, upright and fitted to a size: u8 [N,H,W] or [N,H,W,3].
// If that takes at most `memory_bytes`, all are decoded now, by all threads; else each one anew whenever it is wanted
// (Dataset::source), in the data threads. Fails naming the file that cannot be read, or, if it is decoded later, when
// its batch comes.
Dataset load_images(const ImageList& list, const ImageFiles& files, const ImageSize& size, int64_t memory_bytes);

// All parts, which share the memory.
Splits load_images(const ImageList& list, const ImageSize& size, int64_t memory_bytes);

}  // namespace descent::data
