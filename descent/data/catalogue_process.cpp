#include "descent/data/catalogue_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "descent/base/error.h"
#include "descent/io/atomic_file.h"

extern char** environ;

namespace descent::data::catalogue {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t max_output = size_t{16} << 20;

struct Pipe {
  io::Descriptor read, write;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    read = io::Descriptor(ends[0]);
    write = io::Descriptor(ends[1]);
  }
};

// The child's three streams and its directory.
class Actions {
 public:
  Actions(const std::filesystem::path& directory, const Pipe& out, const Pipe& errors) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, out.write.number(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, errors.write.number(), STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
  }
  ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

pid_t start(const std::vector<std::string>& command, const Actions& actions) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments[0], actions.get(), nullptr, arguments.data(), environ);
  if (error == ENOENT) fail(fmt::format("the program {} is not installed", command[0]));
  if (error != 0) fail(fmt::format("cannot run {}: {}", command[0], std::strerror(error)));
  return child;
}

// Reads what is there; false at the stream's end.
bool read_some(int stream, std::string& into) {
  std::array<char, 65536> piece;
  const ssize_t got = ::read(stream, piece.data(), piece.size());
  if (got > 0 && into.size() < max_output) into.append(piece.data(), static_cast<size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

// Reads both streams to their ends; false if that takes longer than until `deadline`.
bool collect(const Pipe& out, const Pipe& errors, std::string& output, std::string& messages,
             Clock::time_point deadline) {
  std::array<pollfd, 2> streams{{{out.read.number(), POLLIN, 0}, {errors.read.number(), POLLIN, 0}}};
  const std::array<std::string*, 2> texts{&output, &messages};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    if (::poll(streams.data(), streams.size(), static_cast<int>(left)) <= 0) continue;
    for (size_t i = 0; i < streams.size(); ++i)
      if (streams[i].fd >= 0 && streams[i].revents != 0 && !read_some(streams[i].fd, *texts[i])) streams[i].fd = -1;
  }
  return true;
}

// The first line that speaks of an error, else the first.
std::string complaint(const std::string& messages) {
  std::string first;
  for (size_t begin = 0; begin < messages.size();) {
    const size_t end = std::min(messages.find('\n', begin), messages.size());
    const std::string line = messages.substr(begin, std::min(end - begin, size_t{300}));
    begin = end + 1;
    if (line.find("rror") != line.npos || line.find("ERR") != line.npos || line.starts_with("E:")) return line;
    if (first.empty()) first = line;
  }
  return first;
}

}  // namespace

std::string run(const std::vector<std::string>& command, const std::filesystem::path& directory, double seconds) {
  Pipe out, errors;
  const pid_t child = start(command, Actions(directory, out, errors));
  out.write = {};
  errors.write = {};
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::string output, messages;
  const bool ended = collect(out, errors, output, messages, deadline);
  if (!ended) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended) fail(fmt::format("{} did not end within {} seconds", command[0], seconds));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const std::string why = complaint(messages);
    fail(fmt::format("{} failed{}{}", command[0], why.empty() ? "" : ": ", why));
  }
  return output;
}

}  // namespace descent::data::catalogue
