// descent chat RUN
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "descent/cli/command.h"
#include "descent/tasks/chat.h"

namespace descent::cli {

namespace {

struct ChatFlags {
  std::string run;
  std::vector<std::string> say;
  tasks::ChatOptions options;
  bool greedy = false, json = false;
};

volatile std::sig_atomic_t interrupted = 0;

// Ctrl-C ends the conversation: reading a line, which it interrupts, or a reply after its token.
void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);  // without SA_RESTART
}

// A line of standard input, without its end; nothing at the end of all, or when interrupted.
bool read_line(std::string& line) {
  line.clear();
  for (char byte = 0;;) {
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count < 0 && errno == EINTR && !interrupted) continue;
    if (count <= 0 || interrupted) return count == 0 && !line.empty() && !interrupted;
    if (byte == '\n') return true;
    line += byte;
  }
}

void tell(const tasks::Reply& reply) {
  if (reply.tokens_cut > 0)
    fmt::print(stderr, "(that was too long for the net's window: it did not see the first {} tokens)\n",
               reply.tokens_cut);
}

tasks::Reply show_answer(tasks::Chat& chat, const std::string& turn) {
  const tasks::Reply reply = chat.answer(turn, [](const std::string& piece) {
    fmt::print("{}", piece);
    std::fflush(stdout);
    return interrupted == 0;
  });
  fmt::print("{}\n", reply.text.empty() ? "(says nothing)" : "");
  std::fflush(stdout);
  tell(reply);
  return reply;
}

void answer_once(tasks::Chat& chat, const ChatFlags& flags) {
  Json replies = Json::array();
  for (const std::string& turn : flags.say) {
    if (!flags.json) {
      show_answer(chat, turn);
      continue;
    }
    const tasks::Reply reply = chat.answer(turn);
    replies.push_back({{"say", turn},
                       {"reply", reply.text},
                       {"tokens", reply.tokens},
                       {"turns_forgotten", reply.turns_forgotten},
                       {"tokens_cut", reply.tokens_cut}});
  }
  if (flags.json) print_json({{"run", flags.run}, {"seed", flags.options.seed}, {"replies", replies}});
}

// What cannot be answered is said, and the conversation goes on.
void talk(tasks::Chat& chat) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) fmt::print(stderr, "say something; an empty line or Ctrl-C ends the conversation\n");
  for (std::string line; !interrupted;) {
    if (terminal) {
      fmt::print("> ");
      std::fflush(stdout);
    }
    if (!read_line(line) || line.empty()) break;
    try {
      show_answer(chat, line);
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n", error.what());
    }
  }
  if (interrupted) fmt::print("\n");
}

void run_chat(const ChatFlags& flags) {
  if (flags.json && flags.say.empty()) throw UsageError("--json is for single replies: --say \"Hi\"");
  tasks::ChatOptions options = flags.options;
  if (flags.greedy) options.sampling.temperature = 0;
  const tasks::Run run = tasks::load_run(flags.run);
  tasks::Chat chat(run, options);
  if (!flags.say.empty()) return answer_once(chat, flags);
  catch_interrupts();
  talk(chat);
}

}  // namespace

void add_chat(CLI::App& program) {
  auto flags = std::make_shared<ChatFlags>();
  tasks::ChatOptions& options = flags->options;
  CLI::App* command = add_command(program, "chat", "talk with a run on conversations", flags, run_chat);
  command->add_option("run", flags->run, "the run's directory")->required();
  command->add_option("--say", flags->say, "answer this and end; given again: the next turn");
  command->add_option("--temperature", options.sampling.temperature, "default 0.7; 0: always the likeliest token")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--top-k", options.sampling.top_k, "draw among the k likeliest only (default: all)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--top-p", options.sampling.top_p,
                   "and among those that have this probability together (default 0.9)")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_flag("--greedy", flags->greedy, "always the likeliest token");
  command->add_option("--beam", options.beam, "the likeliest reply by a beam search of this width")
      ->check(CLI::Range(1, 64));
  command->add_option("--length", options.length, "the most tokens of a reply (default 80)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  command->add_option("--seed", options.seed, "of what is drawn (default 0)")->check(CLI::NonNegativeNumber);
}

}  // namespace descent::cli
