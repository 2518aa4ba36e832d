// The other end of GTP: another program as a player or referee.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace descent::go {

// A program that answers GTP commands on its standard input and output. Commands may be sent in a row before their
// answers are read.
class GtpProgram {
 public:
  // Starts it: the program, found as a shell finds it, and its arguments.
  explicit GtpProgram(std::vector<std::string> words);
  ~GtpProgram();  // tells it to quit, and waits for its end
  GtpProgram(const GtpProgram&) = delete;
  GtpProgram& operator=(const GtpProgram&) = delete;

  struct Answer {
    bool ok = false;
    std::string text;  // without the mark, an id, and the line ends after it
  };

  void send(std::string_view command);
  Answer answer();  // to the first command that was not answered yet; fails if the program has ended
  Answer ask(std::string_view command);

  // The answer's text; fails naming the program and command if it is a failure.
  std::string must(std::string_view command);

  const std::string& name() const { return words_[0]; }

 private:
  bool read_line(std::string& line);

  std::vector<std::string> words_;
  int socket_ = -1;
  int child_ = -1;
  std::string unread_;
};

}  // namespace descent::go
