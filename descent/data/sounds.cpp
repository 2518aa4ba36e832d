#include "descent/data/sounds.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <regex>
#include <set>

#include "descent/base/error.h"
#include "descent/base/hash.h"
#include "descent/base/team.h"
#include "descent/base/text.h"
#include "descent/base/threads.h"
#include "descent/data/archive.h"
#include "descent/data/labelled_files.h"
#include "descent/data/random.h"

namespace descent::data {

namespace fs = std::filesystem;

void Clips::add(std::string name, int32_t label, std::span<const float> samples) {
  constexpr float full_scale = 32768;
  for (const float value : samples)
    samples_.push_back(
        static_cast<int16_t>(std::clamp(std::nearbyint(value * full_scale), -full_scale, full_scale - 1)));
  ends_.push_back(samples_.size());
  names_.push_back(std::move(name));
  labels_.push_back(label);
}

void Clips::add_from(const Clips& other, int64_t clip) {
  const std::span<const int16_t> from = other.samples(clip);
  samples_.insert(samples_.end(), from.begin(), from.end());
  ends_.push_back(samples_.size());
  names_.push_back(other.name(clip));
  labels_.push_back(other.labels()[static_cast<size_t>(clip)]);
}

std::span<const int16_t> Clips::samples(int64_t clip) const {
  const auto i = static_cast<size_t>(clip);
  const size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::span(samples_).subspan(begin, ends_[i] - begin);
}

Clips Clips::select(const std::vector<bool>& wanted) const {
  Clips out;
  for (int64_t clip = 0; clip < size(); ++clip)
    if (wanted[static_cast<size_t>(clip)]) out.add_from(*this, clip);
  return out;
}

// Blocks of a sixteenth of what is wanted, of which the last sixteen are kept.
std::vector<float> loudest_part(AudioStream& stream, int64_t samples) {
  constexpr int64_t blocks = 16;
  const auto size = static_cast<size_t>((samples + blocks - 1) / blocks);
  std::vector<float> kept, best;
  double best_energy = -1;
  for (size_t got = size; got == size;) {
    const size_t before = kept.size();
    kept.resize(before + size);
    got = stream.read(std::span(kept).subspan(before));
    kept.resize(before + got);
    if (kept.size() > static_cast<size_t>(samples) + size)
      kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(size));
    const std::span<const float> part(kept.data(), std::min(kept.size(), static_cast<size_t>(samples)));
    double energy = 0;
    for (const float value : part) energy += double{value} * value;
    if (energy <= best_energy && best.size() == static_cast<size_t>(samples)) continue;
    best_energy = energy;
    best.assign(part.begin(), part.end());
  }
  return best;
}

namespace {

const FileKind& sound_files() {
  static const FileKind kind{"sounds", "sound", {".wav", ".flac"}};
  return kind;
}

bool is_sound_name(std::string_view name) {
  std::string end(name.substr(name.size() - std::min<size_t>(name.size(), 5)));
  std::ranges::transform(end, end.begin(), [](unsigned char c) { return std::tolower(c); });
  return end.ends_with(".wav") || end == ".flac";
}

// --- what sounds there are ---

enum class Part { train, validation, test };

struct Item {
  std::string name;  // seen from the source, for patterns
  std::string path;  // for errors; and to read from, unless there are:
  std::string bytes;
  int32_t label = 0;
  Part part = Part::train;

  AudioStream open(int64_t rate) const {
    return bytes.empty() ? AudioStream::open(path, rate)
                         : AudioStream::parse(std::as_bytes(std::span(bytes)), path, rate);
  }
};

struct Found {
  std::vector<Item> items;
  std::vector<std::string> classes;
};

std::regex pattern_of(const std::string& pattern, std::string_view what) {
  try {
    return std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error&) {
    throw UsageError(text("'", pattern, "', by which ", what, " is told, is no regular expression"));
  }
}

// What the group of a pattern holds; nothing where the pattern is not found.
std::optional<std::string> told_by(const std::regex& pattern, const std::string& name) {
  std::smatch found;
  if (!std::regex_search(name, found, pattern)) return std::nullopt;
  return found.size() > 1 ? found[1].str() : found[0].str();
}

void take_files(const LabelledFiles& files, Part part, const fs::path& root, Found& out) {
  for (size_t i = 0; i < files.paths.size(); ++i)
    out.items.push_back({.name = fs::path(files.paths[i]).lexically_relative(root).string(),
                         .path = files.paths[i],
                         .bytes = {},
                         .label = files.labels[i],
                         .part = part});
}

Found found_in_list(const std::string& path) {
  const FileList list = list_files(path, sound_files());
  const fs::path root = fs::is_directory(path) ? fs::path(path) : fs::path(path).parent_path();
  Found out{{}, list.classes};
  take_files(list.train, Part::train, root, out);
  take_files(list.validation, Part::validation, root, out);
  take_files(list.test, Part::test, root, out);
  return out;
}

std::string class_of(const std::string& name, const std::optional<std::regex>& pattern) {
  if (!pattern) return fs::path(name).parent_path().filename().string();
  if (const auto label = told_by(*pattern, name)) return *label;
  return "";
}

// Of an archive, or of all folders below one. A sound whose class is not told is passed over.
Found found_in_files(const std::string& path, const SoundNames& names) {
  std::optional<std::regex> pattern;
  if (!names.label.empty()) pattern = pattern_of(names.label, "the class");
  Found out;
  std::vector<std::string> labels;
  each_file(path, is_sound_name, [&](const std::string& file, std::string bytes) {
    const size_t colon = file.rfind(':');
    const bool packed = !fs::is_directory(path) && colon != std::string::npos;
    Item item{.name = packed ? file.substr(colon + 1) : fs::path(file).lexically_relative(path).string(),
              .path = file,
              .bytes = std::move(bytes)};
    const std::string label = class_of(item.name, pattern);
    if (label.empty()) return;
    labels.push_back(label);
    out.items.push_back(std::move(item));
  });
  const std::set<std::string> sorted(labels.begin(), labels.end());
  out.classes.assign(sorted.begin(), sorted.end());
  for (size_t i = 0; i < labels.size(); ++i)
    out.items[i].label = static_cast<int32_t>(std::ranges::lower_bound(out.classes, labels[i]) - out.classes.begin());
  if (out.classes.size() < 2)
    fail(text(path, ": sounds of ", out.classes.size(), " classes, and telling classes apart needs at least two"));
  return out;
}

Found found_at(const std::string& path, const SoundNames& names) {
  if (is_archive(path) || (fs::is_directory(path) && !names.label.empty())) return found_in_files(path, names);
  return found_in_list(path);
}

// --- reading ---

// Calls `act` with 0 to count - 1, in all threads; the first exception is thrown when all are done.
void for_all(int64_t count, const std::function<void(int64_t)>& act) {
  std::atomic<int64_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  run_together(static_cast<int>(std::clamp<int64_t>(count, 1, thread_count())), [&](Share) {
    for (int64_t i = next++; i < count; i = next++) {
      try {
        act(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        next = count;
      }
    }
  });
  if (error) std::rethrow_exception(error);
}

SoundFacts facts_of(const Found& found) {
  std::vector<AudioFacts> facts(found.items.size());
  for_all(std::ssize(facts), [&](int64_t i) { facts[i] = found.items[static_cast<size_t>(i)].open(0).facts(); });
  std::map<int64_t, int64_t> rates;
  std::vector<double> lengths;
  for (const AudioFacts& one : facts) {
    ++rates[one.rate];
    if (one.frames) lengths.push_back(static_cast<double>(*one.frames) / static_cast<double>(one.rate));
  }
  std::ranges::sort(lengths);
  const double longest = lengths.empty() ? SoundOptions::longest_clip : lengths[lengths.size() * 49 / 50];
  return {.sounds = std::ssize(found.items),
          .classes = std::ssize(found.classes),
          .rate = std::ranges::max_element(rates, {}, &std::pair<const int64_t, int64_t>::second)->first,
          .seconds = std::min(SoundOptions::longest_clip, std::ceil(10 * longest) / 10),
          .divided = std::ranges::any_of(found.items, [](const Item& item) { return item.part == Part::test; })};
}

// Rate and length that most of the sounds have, where options leave them open.
void choose_format(const Found& found, const SoundOptions& options, SoundSet& out) {
  SoundFacts facts{.rate = options.rate, .seconds = options.seconds};
  if (options.rate == 0 || options.seconds == 0) facts = facts_of(found);
  out.rate = options.rate == 0 ? facts.rate : options.rate;
  const double seconds = options.seconds == 0 ? facts.seconds : options.seconds;
  out.samples = std::max<int64_t>(1, std::llround(seconds * static_cast<double>(out.rate)));
}

std::vector<std::vector<float>> read_all(const std::vector<Item>& items, const SoundSet& set, int64_t memory_bytes) {
  std::vector<std::vector<float>> out(items.size());
  std::atomic<int64_t> samples{0};
  for_all(std::ssize(items), [&](int64_t i) {
    const Item& item = items[static_cast<size_t>(i)];
    AudioStream stream = item.open(set.rate);
    out[i] = loudest_part(stream, set.samples);
    if (out[i].empty()) fail(text(item.path, ": there are no samples in it"));
    samples += std::ssize(out[i]);
    if (samples * int64_t{sizeof(int16_t)} > memory_bytes)
      fail(text(item.path, ": with it, sounds would take more memory than ", memory_bytes >> 20, " MB"));
  });
  return out;
}

// --- division ---

uint64_t content_key(std::span<const int16_t> samples) {
  uint64_t key = samples.size();
  for (const int16_t value : samples) key = hash_mix(key, static_cast<uint16_t>(value));
  return key;
}

// The share of those whose speaker is told, by speaker, and of the others by content.
std::vector<bool> share_by_speaker(const Clips& clips, const SoundSet& set, const std::string& pattern, double fraction,
                                   uint64_t use) {
  const std::regex speakers = pattern_of(pattern, "the speaker");
  std::vector<uint64_t> speaker(static_cast<size_t>(clips.size())), keys;
  std::set<uint64_t> known;
  std::vector<int32_t> labels;
  std::vector<size_t> others;
  for (int64_t clip = 0; clip < clips.size(); ++clip) {
    if (const auto name = told_by(speakers, clips.name(clip))) {
      speaker[clip] = hash_text(use, *name);
      known.insert(speaker[clip]);
      continue;
    }
    keys.push_back(hash_mix(use, content_key(clips.samples(clip))));
    labels.push_back(clips.labels()[static_cast<size_t>(clip)]);
    others.push_back(static_cast<size_t>(clip));
  }
  const auto count = static_cast<size_t>(std::llround(fraction * static_cast<double>(known.size())));
  const std::set<uint64_t> chosen(known.begin(), std::next(known.begin(), static_cast<std::ptrdiff_t>(count)));
  std::vector<bool> out(static_cast<size_t>(clips.size()));
  for (size_t clip = 0; clip < out.size(); ++clip) out[clip] = chosen.contains(speaker[clip]);
  const std::vector<bool> shares = choose_share(keys, labels, set.classes.size(), fraction);
  for (size_t i = 0; i < others.size(); ++i) out[others[i]] = shares[i];
  return out;
}

std::vector<bool> share_by_content(const Clips& clips, const SoundSet& set, double fraction, uint64_t use) {
  std::vector<uint64_t> keys;
  for (int64_t clip = 0; clip < clips.size(); ++clip) keys.push_back(hash_mix(use, content_key(clips.samples(clip))));
  return choose_share(keys, clips.labels(), set.classes.size(), fraction);
}

std::vector<bool> found_by_name(const Clips& clips, const std::string& pattern) {
  const std::regex test = pattern_of(pattern, "the test part");
  std::vector<bool> out;
  for (int64_t clip = 0; clip < clips.size(); ++clip) out.push_back(std::regex_search(clips.name(clip), test));
  return out;
}

void move(SoundSet& set, Clips& to, std::vector<bool> wanted) {
  to = set.train.select(wanted);
  wanted.flip();
  set.train = set.train.select(wanted);
}

void divide(SoundSet& set, const SoundOptions& options) {
  const auto [validation, test] = options.fractions;
  const auto all = static_cast<double>(set.train.size());
  const auto share = [&](double fraction, uint64_t use) {
    if (!options.names.speaker.empty()) return share_by_speaker(set.train, set, options.names.speaker, fraction, use);
    return share_by_content(set.train, set, fraction, random_key(options.seed, use));
  };
  constexpr uint64_t test_use = 0x74657374, validation_use = 0x76616c;  // what they are drawn with
  if (set.test.size() == 0 && !options.names.test.empty())
    move(set, set.test, found_by_name(set.train, options.names.test));
  else if (set.test.size() == 0 && test > 0)
    move(set, set.test, share(test, test_use));
  if (set.validation.size() > 0 || validation <= 0) return;
  const double left = static_cast<double>(set.train.size()) / all;
  // The fraction is of all clips where the test part is drawn too.
  move(set, set.validation,
       share(options.names.test.empty() ? std::min(0.99, validation / left) : validation, validation_use));
}

void check_parts(const SoundSet& set, const SoundOptions& options, const std::string& path) {
  const bool test = options.fractions.test > 0 || !options.names.test.empty();
  for (const auto& [wanted, part, name] : {std::tuple{true, &set.train, "training"},
                                           {options.fractions.validation > 0, &set.validation, "validation"},
                                           {test, &set.test, "test"}})
    if (wanted && part->size() == 0) fail(text(path, ": no sound is left for the ", name, " part"));
  for (size_t c = 0; c < set.classes.size(); ++c)
    if (std::ranges::find(set.train.labels(), static_cast<int32_t>(c)) == set.train.labels().end())
      fail(text(path, ": the class '", set.classes[c], "' is not in the training part"));
}

}  // namespace

SoundSet read_sounds(const std::string& path, const SoundOptions& options) {
  Found found = found_at(path, options.names);
  SoundSet out;
  out.classes = std::move(found.classes);
  choose_format(found, options, out);
  const std::vector<std::vector<float>> sounds = read_all(found.items, out, options.memory_bytes);
  for (size_t i = 0; i < sounds.size(); ++i) {
    Item& item = found.items[i];
    Clips& part = item.part == Part::train ? out.train : item.part == Part::test ? out.test : out.validation;
    part.add(std::move(item.name), item.label, sounds[i]);
  }
  divide(out, options);
  check_parts(out, options, path);
  return out;
}

SoundFacts sound_facts(const std::string& path, const SoundNames& names) { return facts_of(found_at(path, names)); }

bool holds_sounds(const std::string& path) { return holds_files(path, sound_files()); }

}  // namespace descent::data
