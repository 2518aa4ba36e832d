#include "descent/go/gtp_client.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "descent/base/error.h"
#include "descent/base/text.h"

namespace descent::go {

namespace {

// In the child: the socket becomes its input and output.
[[noreturn]] void become(const std::vector<std::string>& words, int socket) {
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  if (socket > STDOUT_FILENO) ::close(socket);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

}  // namespace

GtpProgram::GtpProgram(std::vector<std::string> words) : words_(std::move(words)) {
  if (words_.empty()) fail("a program needs a name");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    fail(text(name(), ": cannot be started: ", std::strerror(errno)));
  child_ = ::fork();
  if (child_ == 0) become(words_, ends[1]);
  ::close(ends[1]);
  socket_ = ends[0];
  if (child_ < 0) {
    ::close(socket_);
    fail(text(name(), ": cannot be started: ", std::strerror(errno)));
  }
}

GtpProgram::~GtpProgram() {
  const std::string quit = "quit\n";
  [[maybe_unused]] const ssize_t ignored = ::send(socket_, quit.data(), quit.size(), MSG_NOSIGNAL);
  ::close(socket_);
  ::waitpid(child_, nullptr, 0);
}

void GtpProgram::send(std::string_view command) {
  const std::string line = text(command, "\n");
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t count = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail(text(name(), ": has ended and takes no '", command, "'"));
    sent += static_cast<size_t>(count);
  }
}

// Without its end; false at the end of all.
bool GtpProgram::read_line(std::string& line) {
  size_t end = 0;
  while ((end = unread_.find('\n')) == unread_.npos) {
    std::array<char, 4096> buffer;
    const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    unread_.append(buffer.data(), static_cast<size_t>(count));
  }
  line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

GtpProgram::Answer GtpProgram::answer() {
  std::string all, line;
  do {
    if (!read_line(line)) fail(text(name(), ": has ended without an answer"));
    if (!line.empty()) all += text(all.empty() ? "" : "\n", line);
  } while (!line.empty() || all.empty());
  if (all[0] != '=' && all[0] != '?') fail(text(name(), ": '", all, "' is no GTP answer"));
  size_t begin = 1;
  while (begin < all.size() && all[begin] >= '0' && all[begin] <= '9') ++begin;
  while (begin < all.size() && all[begin] == ' ') ++begin;
  return {all[0] == '=', all.substr(begin)};
}

GtpProgram::Answer GtpProgram::ask(std::string_view command) {
  send(command);
  return answer();
}

std::string GtpProgram::must(std::string_view command) {
  Answer out = ask(command);
  if (!out.ok) fail(text(name(), ": fails at '", command, "': ", out.text));
  return std::move(out.text);
}

}  // namespace descent::go
