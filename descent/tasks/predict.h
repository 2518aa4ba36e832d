// Asking a trained run about new inputs.
#pragma once

#include <string>
#include <vector>

#include "descent/tasks/run.h"

namespace descent::tasks {

struct Prediction {
  std::string source;  // "digit.png", "images.idx:17", "flowers.csv:3"
  Array image = {};    // u8 [H,W], what the net saw, if it was a grey image
  Answer answer;
};

// Inputs of runs on images: PNG and JPEG files of any size (prepared as MNIST's digits were if the run reads digits of
// 28x28, else fitted as the run's own images were), and FILE:NUMBER, an item of an idx file. Of runs on sounds: WAV and
// FLAC files of any rate and length, of which the loudest part is heard if they are longer than the run's. Of tables:
// CSV files, each row of them, and rows written out as NAME=VALUE,NAME=VALUE. Fails naming the input and what is wrong
// with it.
std::vector<Prediction> predict(const Run& run, const std::vector<std::string>& inputs);

// A grey image as lines of text, two rows of pixels in a line of block characters.
std::string drawn(const Array& image);

}  // namespace descent::tasks
