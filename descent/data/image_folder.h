// Images in folders, a class each, or listed in a table; of any sizes, brought to one.
#pragma once

#include <cstdint>
#include <filesystem>

#include "descent/data/image.h"
#include "descent/data/labelled_files.h"

namespace descent::data {

using ImageFiles = LabelledFiles;
using ImageList = FileList;

// As list_files(), holds_files() and divide_files() say, of *.png, *.jpg and *.jpeg.
ImageList list_images(const std::filesystem::path& path);
bool holds_images(const std::filesystem::path& path);
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
