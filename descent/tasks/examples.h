// The data of a recipe: read, divided and prepared, and new data prepared in the same way.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "descent/data/dataset.h"
#include "descent/data/image.h"
#include "descent/data/normalizer.h"
#include "descent/data/table_encoder.h"
#include "descent/data/tokenizer.h"
#include "descent/tasks/recipe.h"
#include "descent/tasks/task.h"

namespace descent::tasks {

// What stands between raw inputs and the net, as learnt on the training part; what a run keeps in preprocess.json.
struct Preprocess {
  std::optional<data::Normalizer> normalizer = {};  // computed by the net's first layer
  std::optional<data::TableEncoder> encoder = {};   // of tables: applied to rows before the net
  std::vector<std::string> classes = {};            // their names; empty for numbers
  Type input = {};                                  // of one example
  std::optional<data::FitMode> fit = {};            // of images of any size: how they are brought to the input's
  int64_t sound_rate = 0;                           // of sounds: samples a second; 0: they are none
  data::TokenizerPtr tokenizer = {};                // of texts; the classes are its tokens
  bool conversations = false;                       // of texts: and marks for turns (data/conversations.h)
  bool replies = false;                             // examples are answers (data/replies.h), no windows

  // The type of a batch.
  Type batch(int64_t rows) const;

  std::string to_json() const;
  static Preprocess from_json(const std::string& json);  // fails if it is not what to_json() gave
};

struct Examples {
  data::Splits splits;
  Preprocess preprocess;
  std::string note = {};  // what is worth saying of the data: what was left out of them
};

// Fails in one sentence naming the file, or the recipe's line.
Examples load_examples(const Recipe& recipe);

// How images are brought to the input's type; fails if that is no image's.
data::ImageSize image_size(const Preprocess& preprocess);

// Examples in a file (CSV, NPZ) or a folder (of idx files, of CIFAR-10's, of class folders with images or sounds), for
// judging a run: encoded as its own were. Of what has parts, the test part.
data::Dataset load_examples_like(const Preprocess& preprocess, const TaskKind& task, const std::string& path);

}  // namespace descent::tasks
