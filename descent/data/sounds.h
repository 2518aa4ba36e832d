// Clips of sound with their classes: read from folders, tables and archives, divided, and made into rows for a net.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "descent/data/audio.h"
#include "descent/data/dataset.h"
#include "descent/data/random.h"

namespace descent::data {

// Many short sounds of one rate, each with its name and class, as 16-bit samples.
class Clips {
 public:
  // Samples in [-1, 1]; what is beyond is clipped.
  void add(std::string name, int32_t label, std::span<const float> samples);
  void add_from(const Clips& other, int64_t clip);

  int64_t size() const { return std::ssize(labels_); }
  std::span<const int16_t> samples(int64_t clip) const;  // of its own length
  const std::string& name(int64_t clip) const { return names_[static_cast<size_t>(clip)]; }
  std::span<const int32_t> labels() const { return labels_; }
  Clips select(const std::vector<bool>& wanted) const;

 private:
  std::vector<int16_t> samples_;
  std::vector<size_t> ends_;
  std::vector<std::string> names_;
  std::vector<int32_t> labels_;
};

// What files' names tell, as regular expressions (ECMAScript) that are looked for in a name with its folders, seen from
// the source: "recordings/7_george_12.wav".
struct SoundNames {
  std::string label = {};    // the class is what its group ( ) holds; "": the folder's name
  std::string speaker = {};  // who speaks is what its group holds; parts of the data are then parted by speaker
  std::string test = {};     // found in the names of the test part; "": the test part is drawn

  friend bool operator==(const SoundNames&, const SoundNames&) = default;
};

struct SoundOptions {
  int64_t rate = 0;    // samples a second; 0: as most of the files have
  double seconds = 0;  // of a clip, of which the loudest part is taken if it is longer; 0: as long as 49 of 50 are, at
                       // most longest_clip
  SoundNames names = {};
  Fractions fractions = {.validation = 0, .test = 0};
  uint64_t seed = 0;                        // of the division
  int64_t memory_bytes = int64_t{4} << 30;  // that all clips may take
  static constexpr double longest_clip = 3;
};

struct SoundSet {
  int64_t rate = 0;
  int64_t samples = 0;               // that a net is given
  std::vector<std::string> classes;  // sorted
  Clips train, validation, test;
};

// Sounds at a path: folders of classes or a table of files as in labelled_files.h, *.wav and *.flac; or, where names
// tell the classes, all sounds in a folder and those below; or an archive of sounds (see archive.h).
//
// Parts that a folder or table has are kept. Else the test part is what names.test finds; or, if names tell speakers,
// the share of the speakers that a hash of their names chooses, whatever the seed; or a share of each class, chosen by
// a hash of the sound and the seed. The validation part likewise, of what is left.
//
// Fails naming the file that cannot be read, the part that would be empty, or the class that training would not have.
SoundSet read_sounds(const std::string& path, const SoundOptions& options = {});

// What the sounds at a path are like.
struct SoundFacts {
  int64_t sounds = 0, classes = 0;
  int64_t rate = 0;      // that most of them have
  double seconds = 0;    // that 49 of 50 fit in, at most SoundOptions::longest_clip
  bool divided = false;  // there is a test part
};
SoundFacts sound_facts(const std::string& path, const SoundNames& names = {});

// True for a folder of class folders with sounds.
bool holds_sounds(const std::string& path);

// At most `samples` of a sound, however long it is: all of it, or its loudest part of about that length.
std::vector<float> loudest_part(AudioStream& stream, int64_t samples);

// Random changes of training clips, made in the data threads; each amount is drawn anew for each clip, and 0 turns it
// off.
struct SoundAugment {
  double gain = 0;   // decibels, up to this far either way
  double speed = 0;  // part, up to this far either way; the pitch goes with it; below 0.5
  double delay = 0;  // milliseconds, up to this far either way; what leaves the clip's time is cut
  double noise = 0;  // the loudest noise that is added, as a part of the clip's own root mean square: white, or
                     // coloured by one pole
  std::string noise_class = {};  // clips of this class are noise too, for half of the clips

  bool any() const { return gain > 0 || speed > 0 || delay > 0 || noise > 0; }
};

// Fails, naming the amount, if one is negative or beyond its bound.
void check_augmentation(const SoundAugment& augment);

// One change of a clip: its speed, and a factor.
struct SoundChange {
  double speed = 1, gain = 1;

  int64_t length(std::span<const int16_t> clip) const;  // of what it makes of a clip
};
SoundChange draw_change(const SoundAugment& augment, RandomStream& random);

// The changed clip, in [-1, 1], beginning at sample `offset` of `out`; silence where it is not.
void place_sound(std::span<const int16_t> clip, const SoundChange& change, double offset, std::span<float> out);

// Adds noise of its own as augment.noise says: white, or coloured by one pole.
void add_noise(const SoundAugment& augment, std::span<float> out, uint64_t key);

// Clips as rows f32 [samples] in [-1, 1]: a shorter one in the middle of silence, the middle of a longer one. vary()
// changes them as `augment` says, as a function of the clip and the key.
class SoundRows : public RowSource {
 public:
  // Fails if there is no class of the name that augment.noise_class has.
  SoundRows(std::shared_ptr<const Clips> clips, int64_t rate, int64_t samples, const SoundAugment& augment,
            std::span<const std::string> classes);

  Type row_type() const override { return {DType::f32, {samples_}}; }
  int64_t size() const override { return clips_->size(); }
  void read(int64_t row, std::span<std::byte> out) const override;
  void vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const override;

 private:
  void add_noise_to(std::span<float> out, uint64_t key) const;

  std::shared_ptr<const Clips> clips_;
  int64_t rate_, samples_;
  SoundAugment augment_;
  std::vector<int64_t> noises_;  // clips that are noise
};

// Samples as a row of read() is made of a clip's.
std::vector<float> centred(std::span<const float> clip, int64_t samples);

// All parts as data sets; training is varied.
Splits sound_splits(SoundSet set, const SoundAugment& augment = {});
Dataset sound_dataset(const SoundSet& set, Clips clips, const SoundAugment& augment = {});

}  // namespace descent::data
