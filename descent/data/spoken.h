// Recordings and what is said in them: read from folders, tables and archives, divided, and made into rows for a net.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "descent/data/sounds.h"
#include "descent/data/text.h"

namespace descent::data {

// A transcript as it is learnt and judged: ASCII letters small, words parted by one space, no punctuation but
// apostrophes; remarks in brackets, which nobody says, are gone. With `numbers` digits become English words ("room 12":
// "room twelve"). Other characters stay. Fails naming `source` if it is no UTF-8.
std::string spoken_text(std::string_view transcript, bool numbers, const std::string& source);

// 0 to 999,999,999,999 in English words without "and".
std::string number_in_english(int64_t number);

struct SpokenOptions {
  int64_t rate = 8000;   // samples a second
  double longest = 10;   // seconds; longer recordings are left out
  bool numbers = false;  // see spoken_text()
  // Which recordings are held out: a share of all texts, which are then said nowhere in training, or a share of the
  // recordings of each text.
  bool hold_out_texts = true;
  int64_t repeat = 1;  // times that the training part has each of its recordings of `sources`, beside one of `more`
  Fractions fractions = {.validation = 0, .test = 0.1};
  uint64_t seed = 0;  // of the division
};

struct SpokenSet {
  int64_t rate = 0;
  std::vector<std::string> texts;           // all different
  Clips train, validation, test;            // a clip's label is the number of its text
  std::map<std::string, int64_t> left_out;  // recordings by reason
};

// Recordings of `sources` in all parts, and those of `more` in the training part alone. A source is
//
//   a table (.csv, .tsv) with columns `path` (or file) and `text` (or transcript, sentence), and perhaps `split`, whose
//   words train, validation and test then part all of the table; paths count from the table's folder;
//   a folder or an archive (see archive.h) with *.wav and *.flac, and with transcripts in transcripts.tsv,
//   transcripts.csv (two columns: name, text) or transcripts.txt (lines "name: text", ";" begins a comment). A name is
//   a recording's path without its ending, or the end of that, or its folder's; without any transcripts the folders'
//   names are the texts, "_" being a space.
//
// Fails naming a source that cannot be read or holds no recording with a text, and the part that would be empty.
SpokenSet read_spoken(const std::vector<std::string>& sources, const std::vector<std::string>& more,
                      const SpokenOptions& options = {});

// Recordings as rows f32 [samples] in [-1, 1], NaN behind the end of shorter ones, in the order of their length.
// Training ones begin and end with up to augment.delay of silence each.
class SpokenRows : public RowSource {
 public:
  SpokenRows(Clips clips, int64_t rate, const SoundAugment& augment = {});

  Type row_type() const override { return {DType::f32, {rooms_.back()}}; }
  int64_t size() const override { return clips_.size(); }
  int64_t room(int64_t row) const override { return rooms_[static_cast<size_t>(row)]; }
  void read(int64_t row, std::span<std::byte> out) const override;
  void vary(int64_t row, uint64_t key, std::span<std::byte> out, std::span<std::byte> target) const override;

  std::span<const int32_t> texts() const { return clips_.labels(); }  // of each row

 private:
  Clips clips_;
  int64_t rate_;
  SoundAugment augment_;
  std::vector<int64_t> rooms_;
};

// Rows with their transcripts as targets, i32 [N, most]: characters, then -1.
Dataset spoken_dataset(const SpokenSet& set, Clips clips, const Characters& characters,
                       const SoundAugment& augment = {});

// All parts; the characters are those of the training texts. Fails naming a held-out text with another one.
Splits spoken_splits(SpokenSet set, const SoundAugment& augment = {});

}  // namespace descent::data
