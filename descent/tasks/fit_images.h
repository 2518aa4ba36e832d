// A sensible recipe made for images.
#pragma once

#include <cstdint>
#include <string>

namespace descent::tasks {

// What a recipe is chosen by.
struct ImageSet {
  std::string path;  // the folder or table, absolute
  int64_t images = 0, classes = 0;
  int64_t side = 0;      // the median of the images' shorter sides; large ones count as 256
  bool grey = false;     // no colours to speak of
  bool divided = false;  // it has a test part of its own
};

// Reads the names of all images and some of the images. Fails as data::list_images() does.
ImageSet image_set(const std::string& path);

// The text of a recipe that tells the set's classes apart, with a first comment that says what was chosen and why: the
// images' size, the net, its width and depth, epochs, batch and augmentation by the numbers of images and their kind.
// With `convolutions` the net is one of 3x3 convolutions, else a dense one on smaller images.
std::string recipe_for_images(const ImageSet& set, bool convolutions);

// Whether the layers that such a recipe needs are there.
bool has_convolutions();

}  // namespace descent::tasks
