// Listening to a stream: the net hears windows that overlap, the search goes on from one to the next.
#include <algorithm>
#include <cmath>
#include <limits>

#include "descent/base/text.h"
#include "descent/nn/function.h"
#include "descent/tasks/transcribe.h"

namespace descent::tasks {

namespace {

constexpr double pause_seconds = 0.8;  // without a character: what was said before is a sentence
constexpr size_t longest_word = 60;    // characters that are kept for the end of a word to come

}  // namespace

class Listener::Window {
 public:
  Window(const Run& run, PrefixSearchOptions options, double window)
      : rate_(run.preprocess.sound_rate),
        classes_(run.preprocess.classes),
        net_(run.net),
        forward_([net = net_](nn::Pass& pass, std::span<const Tensor> in) -> Tensors { return {(*net)(in[0], pass)}; },
                 {.training = false, .precision = run.evaluate_options().precision}),
        search_(std::ssize(classes_) + 1, std::move(options), space()) {
    if (!(window >= 1)) throw UsageError(text("a window of ", window, " seconds is below 1"));
    measure_stride();
    const auto samples = static_cast<int64_t>(std::llround(window * static_cast<double>(rate_)));
    size_ = samples / (4 * stride_) * 4 * stride_;
    margin_ = size_ / 4;
    pause_frames_ = std::llround(pause_seconds * static_cast<double>(rate_) / static_cast<double>(stride_));
    input_ = Array(DType::f32, {1, size_});
  }

  int64_t rate() const { return rate_; }

  void hear(std::span<const float> samples, const std::function<void(const Heard&)>& say) {
    while (!samples.empty()) {
      const auto take = std::min(samples.size(), static_cast<size_t>(size_) - kept_.size());
      kept_.insert(kept_.end(), samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(take));
      samples = samples.subspan(take);
      if (std::ssize(kept_) < size_) return;
      // The last quarter is heard again, from the middle of the next window.
      listen(size_ - margin_, say);
      kept_.erase(kept_.begin(), kept_.begin() + (size_ - 2 * margin_));
      first_ += (size_ - 2 * margin_) / stride_;
    }
  }

  void finish(const std::function<void(const Heard&)>& say) {
    if (!kept_.empty()) listen(size_, say);
    end_sentence(say);
    kept_.clear();
    first_ = done_ = silent_ = 0;
  }

 private:
  int32_t space() const {
    const auto at = std::ranges::find(classes_, " ");
    return at == classes_.end() ? -1 : static_cast<int32_t>(at - classes_.begin());
  }

  int64_t frames(int64_t samples) const {
    const Type type{DType::f32, {1, samples}};
    return forward_.trace(std::span(&type, 1)).results[0].shape()[1];
  }

  // The fewest samples that give so many frames.
  int64_t samples_for(int64_t wanted) const {
    int64_t few = rate_, many = 4 * rate_;
    if (frames(many) < wanted) fail("the net makes less than a frame a second, so it cannot listen to a stream");
    while (few + 1 < many) {
      const int64_t middle = (few + many) / 2;
      (frames(middle) < wanted ? few : many) = middle;
    }
    return many;
  }

  // How many samples there are to a frame.
  void measure_stride() {
    const int64_t now = frames(rate_), next = samples_for(now + 1);
    stride_ = samples_for(now + 2) - next;
  }

  // Hears the window, up to sample `end` of it.
  void listen(int64_t end, const std::function<void(const Heard&)>& say) {
    std::span<float> input = input_.as<float>();
    std::ranges::fill(std::ranges::copy(kept_, input.begin()).out, input.end(),
                      std::numeric_limits<float>::quiet_NaN());
    const Array& scores = forward_({input_})[0];
    const int64_t frames = std::min(scores.shape()[1], end / stride_), classes = scores.shape()[2];
    for (; done_ < first_ + frames; ++done_)
      frame(scores.as<float>().subspan(static_cast<size_t>((done_ - first_) * classes), static_cast<size_t>(classes)),
            say);
    say_words(search_.take_settled(), say);
  }

  void frame(std::span<const float> scores, const std::function<void(const Heard&)>& say) {
    search_.add(scores);
    const auto best = std::ranges::max_element(scores) - scores.begin();
    const bool spoken = best != std::ssize(classes_) && best != space();
    silent_ = spoken ? 0 : silent_ + 1;
    if (silent_ == pause_frames_) end_sentence(say);
  }

  // Whole words; what may go on waits.
  void say_words(const std::vector<int32_t>& characters, const std::function<void(const Heard&)>& say) {
    for (const int32_t character : characters) {
      const bool parts = character == space();
      if (!parts) word_ += classes_[static_cast<size_t>(character)];
      if (parts || word_.size() > longest_word) give_word(say);
    }
  }

  void give_word(const std::function<void(const Heard&)>& say) {
    if (word_.empty()) return;
    say({said_ ? text(" ", word_) : word_, false});
    word_.clear();
    said_ = true;
  }

  void end_sentence(const std::function<void(const Heard&)>& say) {
    say_words(search_.finish(), say);
    give_word(say);
    if (said_) say({"", true});
    said_ = false;
  }

  int64_t rate_;
  std::vector<std::string> classes_;
  std::shared_ptr<nn::Module> net_;
  nn::Function forward_;
  PrefixSearch search_;
  int64_t stride_ = 1, size_ = 0, margin_ = 0, pause_frames_ = 0;
  Array input_;
  std::vector<float> kept_;  // samples of the window
  int64_t first_ = 0;        // the number of the window's first frame
  int64_t done_ = 0;         // frames that were searched
  int64_t silent_ = 0;       // in a row
  std::string word_;
  bool said_ = false;  // something since the last pause
};

Listener::Listener(const Run& run, PrefixSearchOptions options, double window)
    : window_(std::make_unique<Window>(run, std::move(options), window)) {}
Listener::~Listener() = default;
int64_t Listener::rate() const { return window_->rate(); }
void Listener::hear(std::span<const float> samples, const std::function<void(const Heard&)>& say) {
  window_->hear(samples, say);
}
void Listener::finish(const std::function<void(const Heard&)>& say) { window_->finish(say); }

int64_t listen(Listener& listener, data::AudioStream& stream, const std::function<void(const Heard&)>& say) {
  std::vector<float> piece(static_cast<size_t>(std::max<int64_t>(1, listener.rate() / 10)));
  int64_t samples = 0;
  for (size_t got = piece.size(); got == piece.size();) {
    got = stream.read(piece);
    samples += static_cast<int64_t>(got);
    listener.hear(std::span(piece).first(got), say);
  }
  listener.finish(say);
  return samples;
}

std::string transcribe(const Run& run, const std::string& path) {
  constexpr double most_at_once = 30;  // seconds
  Listener listener(run, decoding(run), most_at_once);
  data::AudioStream stream = data::AudioStream::open(path, listener.rate());
  std::string out;
  listen(listener, stream, [&](const Heard& heard) {
    out += heard.text;
    if (heard.pause && !out.empty() && out.back() != ' ') out += ' ';
  });
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace descent::tasks
