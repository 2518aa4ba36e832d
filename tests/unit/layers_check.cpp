// The house: a room includes only the rooms below it (tools/layers.txt).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::vector<std::string> rooms() {
  std::ifstream file(fs::path(DESCENT_SOURCE_DIR) / "tools/layers.txt");
  std::vector<std::string> out;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') out.push_back(line);
  return out;
}

// The floor of "descent/backend/cpu/x.h" and the like; -1: in no room.
int floor_of(const std::string& path, const std::vector<std::string>& rooms) {
  const std::string room = fs::path(path).parent_path().string();
  const auto at = std::ranges::find(rooms, room.starts_with("descent/") ? room.substr(8) : room);
  return at == rooms.end() ? -1 : static_cast<int>(at - rooms.begin());
}

// Sentences about what one file includes against the rules.
std::vector<std::string> faults(const fs::path& file, const std::string& relative,
                                const std::vector<std::string>& rooms) {
  static const std::regex include(R"re(^\s*#include\s+["<](descent/[^">]+)[">])re");
  std::vector<std::string> out;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, include)) continue;
    const int from = floor_of(relative, rooms), to = floor_of(match[1], rooms);
    if (to < 0)
      out.push_back(relative + " includes " + match[1].str() + ", which is in no room");
    else if (to > from)
      out.push_back(relative + " includes " + match[1].str() + ", which is on a higher floor");
    // Backends register themselves: nobody above includes them.
    else if (rooms[to] == "backend/cpu" && from != to)
      out.push_back(relative + " includes the backend's " + match[1].str());
  }
  return out;
}

TEST(Layers, EveryFileIncludesOnlyLowerFloors) {
  const std::vector<std::string> floors = rooms();
  ASSERT_GT(floors.size(), 10u);
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(DESCENT_SOURCE_DIR) / "descent")) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cpp") continue;
    const std::string relative = fs::relative(entry.path(), DESCENT_SOURCE_DIR).string();
    if (relative == "descent/descent.h") continue;  // the facade, above all rooms
    ++files;
    EXPECT_GE(floor_of(relative, floors), 0) << relative << " is in no room";
    for (const std::string& fault : faults(entry.path(), relative, floors)) ADD_FAILURE() << fault;
  }
  EXPECT_GT(files, 50);
}

TEST(Layers, TheCheckSeesAFault) {
  const std::vector<std::string> floors = rooms();
  const fs::path file = fs::temp_directory_path() / "descent_layers_check.h";
  std::ofstream(file)
      << "#include \"descent/nn/module.h\"\n#include \"descent/nowhere/x.h\"\n#include \"descent/base/error.h\"\n";
  EXPECT_EQ(faults(file, "descent/core/x.h", floors).size(), 2u);
  fs::remove(file);
}

}  // namespace
