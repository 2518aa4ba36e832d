// Fetching files over HTTPS, HTTP or from file:// addresses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace descent::data {

struct DownloadProgress {
  int64_t bytes = 0;   // there so far, with what earlier attempts had brought
  int64_t total = -1;  // -1 while the server has not said
};

struct Download {
  std::vector<std::string> addresses;  // tried in order
  std::filesystem::path target;        // appears only whole and checked
  std::string sha256;                  // of the whole file, or "" if the caller checks what it makes of it
  int64_t limit = int64_t{1} << 40;    // more bytes than this are refused
  double connect_seconds = 10;         // to find and reach a server
  double stall_seconds = 30;           // without a byte
  std::function<void(const DownloadProgress&)> progress;
};

// Brings a file to its target; does nothing if it is there with the right sum. The bytes grow in TARGET.part, which a
// broken transfer, or a killed process, leaves for the next attempt to go on from (HTTP ranges; from the start again if
// the server ignores them). Checked against the sum, synced, then renamed to the target. Two processes that want the
// same target wait for each other. Fails in one sentence with every address that was tried and why it failed.
void download(const Download& wanted);

// A progress function that writes to standard error: one line that changes on a terminal, else a line now and then.
std::function<void(const DownloadProgress&)> progress_on_stderr(std::string label);

}  // namespace descent::data
