#include "descent/data/download.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "descent/base/error.h"
#include "descent/base/sha256.h"

namespace descent::data {
namespace {

namespace fs = std::filesystem;

// What the server does with a request.
struct Manner {
  bool ranges = true;
  bool says_length = true;
  int status = 0;           // instead of an answer
  int64_t drop_after = -1;  // body bytes, then the connection closes
  bool drop_once = true;
  int64_t stall_after = -1;  // body bytes, then nothing more comes
  int64_t shift_range = 0;   // lies about where a part begins
  std::string redirect = {};
};

// A web server on this machine with one file.
class Server {
 public:
  Server(std::string content, Manner manner) : content_(std::move(content)), manner_(manner) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      fail("the test's server cannot start");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  std::string address() const { return "http://127.0.0.1:" + std::to_string(port_) + "/file"; }

  // The ranges asked for, in order; "" for the whole file.
  std::vector<std::string> requests() {
    const std::lock_guard guard(mutex_);
    return requests_;
  }

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      answer(connection, request(connection));
      ::close(connection);
    }
  }

  std::string request(int connection) {
    std::string text;
    char piece[4096];
    while (text.find("\r\n\r\n") == text.npos) {
      const ssize_t got = ::recv(connection, piece, sizeof piece, 0);
      if (got <= 0) break;
      text.append(piece, static_cast<size_t>(got));
    }
    const size_t at = text.find("Range: bytes=");
    const std::string range = at == text.npos ? "" : text.substr(at + 13, text.find("\r\n", at) - at - 13);
    const std::lock_guard guard(mutex_);
    requests_.push_back(range);
    return range;
  }

  void answer(int connection, const std::string& range) {
    if (!manner_.redirect.empty())
      return send(connection, "HTTP/1.1 302 Found\r\nLocation: " + manner_.redirect + "\r\n\r\n");
    if (manner_.status != 0)
      return send(connection, "HTTP/1.1 " + std::to_string(manner_.status) + " No\r\n\r\n<html>no</html>");
    const size_t begin = manner_.ranges && !range.empty() ? std::stoul(range) : 0;
    if (begin > 0 && begin >= content_.size()) return send(connection, "HTTP/1.1 416 Range Not Satisfiable\r\n\r\n");
    std::string head = begin > 0
                           ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " +
                                 std::to_string(static_cast<int64_t>(begin) + manner_.shift_range) + "-" +
                                 std::to_string(content_.size() - 1) + "/" + std::to_string(content_.size()) + "\r\n"
                           : "HTTP/1.1 200 OK\r\n";
    if (manner_.says_length) head += "Content-Length: " + std::to_string(content_.size() - begin) + "\r\n";
    send(connection, head + "Connection: close\r\n\r\n");
    body(connection, std::string_view(content_).substr(begin));
  }

  void body(int connection, std::string_view bytes) {
    const int64_t end = std::max(manner_.drop_after, manner_.stall_after);
    if (end < 0) return send(connection, bytes);
    send(connection, bytes.substr(0, static_cast<size_t>(end)));
    while (manner_.stall_after >= 0 && !stopping_) ::usleep(10000);
    if (manner_.drop_once) manner_.drop_after = -1;
  }

  static void send(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  std::string content_;
  Manner manner_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

std::string content(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}

class Downloads : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) /
             (std::string("descent_download_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder);
    fs::create_directories(folder);
    for (int i = 0; i < 300000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  }
  void TearDown() override { fs::remove_all(folder); }

  Download wanted(std::vector<std::string> addresses) const {
    return {addresses, target(), sha256(bytes), 1 << 20, 5, 5, {}};
  }
  fs::path target() const { return folder / "file"; }
  fs::path part() const { return folder / "file.part"; }
  void write_part(std::string_view head) const { std::ofstream(part(), std::ios::binary) << head; }
  void expect_whole() const {
    EXPECT_TRUE(content(target()) == bytes);
    EXPECT_FALSE(fs::exists(part()));
  }

  fs::path folder;
  std::string bytes;
};

std::string sentence(const Download& wanted) {
  try {
    download(wanted);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

using Requests = std::vector<std::string>;

TEST_F(Downloads, whole) {
  Server server(bytes, {});
  Download asked = wanted({server.address()});
  int64_t seen = 0, total = 0;
  asked.progress = [&](const DownloadProgress& progress) { seen = progress.bytes, total = progress.total; };
  download(asked);
  expect_whole();
  EXPECT_EQ(seen, 300000);
  EXPECT_EQ(total, 300000);
}

TEST_F(Downloads, what_is_there_is_not_fetched_again) {
  Server server(bytes, {});
  download(wanted({server.address()}));
  download(wanted({server.address()}));
  EXPECT_EQ(server.requests(), Requests{""});
  std::ofstream(target()) << "damaged";
  download(wanted({server.address()}));
  expect_whole();
}

TEST_F(Downloads, a_part_is_gone_on_from) {
  Server server(bytes, {});
  write_part(bytes.substr(0, 100000));
  download(wanted({server.address()}));
  expect_whole();
  EXPECT_EQ(server.requests(), Requests{"100000-"});
}

TEST_F(Downloads, a_server_that_ignores_ranges_sends_all) {
  Server server(bytes, {.ranges = false});
  write_part(bytes.substr(0, 100000));
  download(wanted({server.address()}));
  expect_whole();
  EXPECT_EQ(server.requests(), Requests{"100000-"});
}

TEST_F(Downloads, a_dropped_connection_is_taken_up) {
  Server server(bytes, {.drop_after = 123456});
  download(wanted({server.address()}));
  expect_whole();
  EXPECT_EQ(server.requests(), (Requests{"", "123456-"}));
}

TEST_F(Downloads, a_dropped_connection_without_ranges_starts_again) {
  Server server(bytes, {.ranges = false, .drop_after = 123456});
  download(wanted({server.address()}));
  expect_whole();
}

// Without a length nobody can tell that the end is missing, but the sum can.
TEST_F(Downloads, a_short_file_is_never_taken_for_a_whole_one) {
  Server server(bytes, {.says_length = false, .drop_after = 1000});
  EXPECT_EQ(sentence(wanted({server.address()})),
            "cannot download file: " + server.address() + ": its SHA-256 is not the expected " + sha256(bytes));
  EXPECT_FALSE(fs::exists(target()));
  download(wanted({server.address()}));
  expect_whole();
}

TEST_F(Downloads, a_wrong_part_is_dropped) {
  Server server(bytes, {});
  write_part("these are not the first bytes of the file");
  download(wanted({server.address()}));
  expect_whole();
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(Downloads, a_part_longer_than_the_file) {
  Server server(bytes, {});
  write_part(bytes + "more");
  download(wanted({server.address()}));
  expect_whole();
}

// Killed after the last byte and before the rename.
TEST_F(Downloads, a_part_that_is_whole) {
  Server server(bytes, {});
  write_part(bytes);
  download(wanted({server.address()}));
  expect_whole();
  EXPECT_EQ(server.requests(), Requests{"300000-"});
}

TEST_F(Downloads, a_part_from_elsewhere_in_the_file_is_refused) {
  Server server(bytes, {.shift_range = 5});
  write_part(bytes.substr(0, 1000));
  Download asked = wanted({server.address()});
  asked.sha256.clear();  // which would notice too
  download(asked);       // asks again for all
  expect_whole();
  EXPECT_EQ(server.requests(), (Requests{"1000-", ""}));
}

TEST_F(Downloads, the_next_address_goes_on_where_the_first_stopped) {
  Server broken("", {.status = 404}), weak(bytes, {.drop_after = 5000, .drop_once = false}), good(bytes, {});
  write_part(bytes.substr(0, 200));
  download(wanted({broken.address(), weak.address(), good.address()}));
  expect_whole();
  EXPECT_EQ(weak.requests().size(), 9u) << "it is asked again while it brings something, but not for ever";
  EXPECT_EQ(good.requests(), Requests{"45200-"});
}

TEST_F(Downloads, every_failure_is_told) {
  Server missing("", {.status = 404}), wrong("other bytes", {}), large(std::string(2 << 20, 'x'), {});
  const std::string closed = "http://127.0.0.1:1/file", unknown = "http://name.invalid/file",
                    file = "file:///no/such/file", odd = "gopher://127.0.0.1/file";
  const std::string why =
      sentence(wanted({missing.address(), wrong.address(), large.address(), closed, unknown, file, odd}));
  for (const std::string& part : {"cannot download file: " + missing.address() + ": the server answered 404; ",
                                  wrong.address() + ": its SHA-256 is not the expected " + sha256(bytes) + "; ",
                                  large.address() + ": it is longer than the 1048576 bytes that were expected; ",
                                  closed + ": Failed to connect", unknown + ": Could not resolve host: name.invalid; ",
                                  file + ": Couldn't open file /no/such/file; ", odd + ": Protocol \"gopher\""})
    EXPECT_NE(why.find(part), std::string::npos) << part << "\nin " << why;
  EXPECT_FALSE(fs::exists(target()));
  EXPECT_FALSE(fs::exists(part()));
}

TEST_F(Downloads, a_stalled_server_is_left) {
  Server server(bytes, {.stall_after = 0});
  Download asked = wanted({server.address()});
  asked.stall_seconds = 1;
  EXPECT_NE(sentence(asked).find("too slow"), std::string::npos) << sentence(asked);
}

TEST_F(Downloads, redirects_are_followed_but_not_to_files) {
  std::ofstream(folder / "secret", std::ios::binary) << bytes;
  Server good(bytes, {}), redirected("", {.redirect = good.address()}),
      sly("", {.redirect = "file://" + (folder / "secret").string()});
  write_part(bytes.substr(0, 1000));
  download(wanted({redirected.address()}));
  expect_whole();
  fs::remove(target());
  EXPECT_NE(sentence(wanted({sly.address()})), "");
  EXPECT_FALSE(fs::exists(target()));
}

TEST_F(Downloads, local_files) {
  std::ofstream(folder / "source", std::ios::binary) << bytes;
  const std::string address = "file://" + (folder / "source").string();
  download(wanted({address}));
  expect_whole();
  for (const size_t length : {size_t{5000}, bytes.size(), bytes.size() + 1}) {
    fs::remove(target());
    write_part((bytes + "x").substr(0, length));
    download(wanted({address}));
    expect_whole();
  }
}

TEST_F(Downloads, an_unwritable_target_is_told) {
  Download asked = wanted({"http://127.0.0.1:1/file"});
  asked.target = folder / "no" / "such";
  EXPECT_EQ(sentence(asked), "cannot write " + asked.target.string() + ".part: No such file or directory");
}

// A killed process leaves a part, and the next one goes on from it.
TEST_F(Downloads, killed_half_way) {
  Server stalled(bytes, {.stall_after = 150000}), good(bytes, {});
  const pid_t child = ::fork();
  if (child == 0) {
    sentence(wanted({stalled.address()}));
    ::_exit(0);
  }
  for (int i = 0; i < 1000 && (!fs::exists(part()) || fs::file_size(part()) < 150000); ++i) ::usleep(10000);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(fs::exists(target()));
  download(wanted({good.address()}));
  expect_whole();
  EXPECT_EQ(good.requests(), Requests{"150000-"});
}

TEST_F(Downloads, two_at_once_fetch_once) {
  Server server(bytes, {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { download(wanted({server.address()})); });
  for (std::thread& thread : threads) thread.join();
  expect_whole();
  EXPECT_EQ(server.requests().size(), 1u);
}

}  // namespace
}  // namespace descent::data
