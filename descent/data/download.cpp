#include "descent/data/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "descent/base/error.h"
#include "descent/base/sha256.h"
#include "descent/base/text.h"
#include "descent/io/atomic_file.h"

namespace descent::data {

namespace fs = std::filesystem;

namespace {

constexpr int max_breaks = 8;  // how often one address may break off and be resumed

// TARGET.part, locked: what has arrived so far.
class PartFile {
 public:
  explicit PartFile(const fs::path& target) : target_(target), path_(target.string() + ".part") {
    do file_ = opened();
    while (!is_current());
  }

  int64_t size() const { return facts().st_size; }
  void remove() const { ::unlink(path_.c_str()); }
  bool has_sum(const std::string& sha256) const { return sha256.empty() || sha256_file(path_) == sha256; }

  void clear() const {
    if (::ftruncate(file_.number(), 0) != 0) fail_write();
  }

  // False, with errno set, if the disk is full.
  bool append(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(file_.number(), bytes.data(), bytes.size());
      if (wrote < 0 && errno != EINTR) return false;
      if (wrote > 0) bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return true;
  }

  void finish() const {
    if (::fsync(file_.number()) != 0 || ::rename(path_.c_str(), target_.c_str()) != 0) fail_write();
    io::sync_directory(target_.has_parent_path() ? target_.parent_path() : ".");
  }

 private:
  io::Descriptor opened() const {
    io::Descriptor file(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    if (!file) fail_write();
    while (::flock(file.number(), LOCK_EX) != 0 && errno == EINTR) continue;
    return file;
  }

  // Whether the path still names the locked file: the one who held the lock before may have renamed it.
  bool is_current() const {
    struct stat named {};
    return ::stat(path_.c_str(), &named) == 0 && named.st_ino == facts().st_ino && named.st_dev == facts().st_dev;
  }

  struct stat facts() const {
    struct stat facts {};
    if (::fstat(file_.number(), &facts) != 0) fail_write();
    return facts;
  }

  [[noreturn]] void fail_write() const {
    fail(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
  }

  fs::path target_, path_;
  io::Descriptor file_;
};

// What an attempt came to. Without `why` the part file holds the whole answer.
struct Outcome {
  std::optional<std::string> why;
  bool broke_off = false;   // after some bytes: worth going on
  bool start_over = false;  // what the part file holds does not fit what the server has
};

// One request: from where the part file ends to the end of the file.
class Transfer {
 public:
  Transfer(const Download& wanted, const PartFile& part)
      : wanted_(wanted), part_(part), begin_(part.size()), size_(begin_) {}

  Outcome run(const std::string& address) {
    const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
    if (!handle) return {"libcurl cannot be started"};
    curl_ = handle.get();
    configure(address);
    return outcome(curl_easy_perform(curl_));
  }

 private:
  void configure(const std::string& address) {
    set(CURLOPT_URL, address.c_str());
    set(CURLOPT_PROTOCOLS_STR, "https,http,file");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "https,http");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 5L);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a name server that is silent is not waited for
    set(CURLOPT_USERAGENT, "descent");
    set(CURLOPT_ERRORBUFFER, message_);
    set(CURLOPT_CONNECTTIMEOUT_MS, std::lround(wanted_.connect_seconds * 1000));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, std::lround(wanted_.stall_seconds)));
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    if (begin_ > 0) set(CURLOPT_RANGE, (range_ = fmt::format("{}-", begin_)).c_str());
  }

  template <class Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(curl_, option, value);
  }

  long status() const {
    long code = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  // Before the first byte of the body: does it begin where the part file ends?
  bool accept_body() {
    const bool is_file = status() == 0;  // file:// has no status and knows ranges
    if (begin_ > 0 && !is_file && status() != 206) {
      part_.clear();
      begin_ = size_ = 0;
    } else if (begin_ > 0 && !is_file && range_begin_ != begin_) {
      refusal_ = "the server sent another part than the one asked for";
      misfit_ = true;
      return false;
    }
    return accepted_ = true;
  }

  size_t body(std::string_view bytes) {
    if (!accepted_ && !accept_body()) return 0;
    if (static_cast<int64_t>(bytes.size()) > wanted_.limit - size_) {
      refusal_ = fmt::format("it is longer than the {} bytes that were expected", wanted_.limit);
      misfit_ = true;
      return 0;
    }
    if (!part_.append(bytes)) {
      refusal_ = fmt::format("cannot write the part file: {}", std::strerror(errno));
      return 0;
    }
    size_ += static_cast<int64_t>(bytes.size());
    return bytes.size();
  }

  void header(std::string_view line) {
    constexpr std::string_view name = "content-range: bytes ";
    if (line.starts_with("HTTP/")) range_begin_ = -1;  // a redirect's headers come first
    if (line.size() > name.size() && ::strncasecmp(line.data(), name.data(), name.size()) == 0)
      std::from_chars(line.data() + name.size(), line.data() + line.size(), range_begin_);
  }

  void progress(int64_t total, int64_t now) const {
    if (wanted_.progress && now > 0) wanted_.progress({begin_ + now, total > 0 ? begin_ + total : -1});
  }

  Outcome outcome(CURLcode code) {
    if (code == CURLE_OK && (accepted_ || accept_body())) return {};
    const bool out_of_range = status() == 416 || code == CURLE_BAD_DOWNLOAD_RESUME;
    std::string why = !refusal_.empty()                   ? refusal_
                      : code == CURLE_HTTP_RETURNED_ERROR ? fmt::format("the server answered {}", status())
                      : message_[0] != '\0'               ? std::string(message_)
                                                          : std::string(curl_easy_strerror(code));
    return {why, refusal_.empty() && accepted_, (out_of_range || misfit_) && part_.size() > 0};
  }

  static size_t on_body(const char* bytes, size_t size, size_t count, void* self) {
    try {
      return static_cast<Transfer*>(self)->body({bytes, size * count});
    } catch (const Error& error) {  // exceptions must not cross the library
      static_cast<Transfer*>(self)->refusal_ = error.what();
      return 0;
    }
  }
  static size_t on_header(const char* bytes, size_t size, size_t count, void* self) {
    static_cast<Transfer*>(self)->header({bytes, size * count});
    return size * count;
  }
  static int on_progress(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
    static_cast<Transfer*>(self)->progress(total, now);
    return 0;
  }

  const Download& wanted_;
  const PartFile& part_;
  int64_t begin_, size_;
  int64_t range_begin_ = -1;
  bool accepted_ = false, misfit_ = false;
  std::string range_, refusal_;
  CURL* curl_ = nullptr;
  char message_[CURL_ERROR_SIZE] = "";
};

// Everything one address can give; nothing if the part file is whole and has the right sum, else why not.
std::optional<std::string> fetch(const Download& wanted, const PartFile& part, const std::string& address) {
  for (int breaks = 0;; ++breaks) {
    const bool resumed = part.size() > 0;
    const Outcome outcome = Transfer(wanted, part).run(address);
    if (!outcome.why && part.has_sum(wanted.sha256)) return std::nullopt;
    if (outcome.start_over && !wanted.sha256.empty() && part.has_sum(wanted.sha256)) return std::nullopt;
    const bool unfit = !outcome.why || outcome.start_over;
    if (unfit) part.clear();
    if (breaks < max_breaks && (unfit ? resumed : outcome.broke_off)) continue;
    return outcome.why ? *outcome.why : "its SHA-256 is not the expected " + wanted.sha256;
  }
}

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) fail("libcurl cannot be started");
}

bool is_there(const Download& wanted) {
  return !wanted.sha256.empty() && fs::is_regular_file(wanted.target) && sha256_file(wanted.target) == wanted.sha256;
}

}  // namespace

void download(const Download& wanted) {
  start_curl();
  if (is_there(wanted)) return;
  const PartFile part(wanted.target);
  if (is_there(wanted)) return part.remove();  // another process brought it meanwhile
  std::vector<std::string> reasons;
  for (const std::string& address : wanted.addresses) {
    const std::optional<std::string> why = fetch(wanted, part, address);
    if (!why) return part.finish();
    reasons.push_back(address + ": " + *why);
  }
  if (part.size() == 0) part.remove();
  fail(fmt::format("cannot download {}: {}", wanted.target.filename().string(), join(reasons, "; ")));
}

std::function<void(const DownloadProgress&)> progress_on_stderr(std::string label) {
  using Clock = std::chrono::steady_clock;
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  const auto pause = terminal ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000);
  return [label = std::move(label), terminal, pause, next = Clock::now() + pause,
          done = false](const DownloadProgress& progress) mutable {
    const bool whole = progress.bytes == progress.total;
    if (done || (!whole && Clock::now() < next)) return;
    next = Clock::now() + pause;
    done = whole;
    const std::string total =
        progress.total < 0 ? "" : fmt::format(" of {:.1f}", static_cast<double>(progress.total) / 1e6);
    fmt::print(stderr, "{}{}: {:.1f}{} MB{}", terminal ? "\r" : "", label, static_cast<double>(progress.bytes) / 1e6,
               total, !terminal || whole ? "\n" : "");
    std::fflush(stderr);
  };
}

}  // namespace descent::data
