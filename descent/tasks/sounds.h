// Recipes whose data are sounds.
#pragma once

#include <string>

#include "descent/data/sounds.h"
#include "descent/tasks/examples.h"

namespace descent::tasks {

// The sounds at a path as [data] and [augment] say; `usual` is what their names tell where the recipe does not say.
// Fails naming the recipe's line or the file.
Examples load_sound_examples(const Recipe& recipe, const std::string& path, const data::SoundNames& usual = {});

// What [augment] says of sounds.
data::SoundAugment sound_augment(const Recipe& recipe);

// A sound file as an example of a run that was trained on sounds, f32 [samples]; of a longer one its loudest part.
Array read_sound(const Preprocess& preprocess, const std::string& path);

// The sounds at a path, encoded as a run's own; of what has parts, the test part. The classes are the path's own.
data::Dataset load_sounds_like(const Preprocess& preprocess, const std::string& path);

// The text of a recipe that tells the classes of a folder's sounds apart, with a first comment that says what was
// chosen and why. Fails as data::sound_facts() does.
std::string recipe_for_sounds(const std::string& path);

}  // namespace descent::tasks
