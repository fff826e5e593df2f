#include "bench/load/progress.h"

#include <sys/ioctl.h>

#include <algorithm>

namespace latchkey::bench {
namespace {

constexpr size_t kBar = 20;
constexpr auto kRateOver = std::chrono::milliseconds(500);

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

size_t columns(std::FILE* out) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 79;
  return size.ws_col - 1u;
}

}  // namespace

Progress::Progress(std::FILE* out, bool terminal, std::string title)
    : out_(out), terminal_(terminal), title_(std::move(title)) {}

Progress::~Progress() {
  if (out_ == nullptr || !on_line_) return;
  std::fputs("\r\033[K", out_);
  std::fflush(out_);
}

std::string Progress::line(std::string_view title, const State& state, double rate, size_t width) {
  std::string text(title);
  if (state.share >= 0) {
    const auto full = static_cast<size_t>(std::clamp(state.share, 0.0, 1.0) * kBar);
    text += " [" + std::string(full, '#') + std::string(kBar - full, '.') + "]";
  }
  text += " " + std::string(state.phase) + number(" %.0f s", state.elapsed);
  text += number("  %.0f/s", rate) + "  " + std::to_string(state.done) + " done";
  if (state.failed != 0) {
    text += ", " + std::to_string(state.failed) + " failed: " + std::string(state.main_failure);
  }
  if (text.size() > width) text.resize(width);
  return text;
}

void Progress::show(const State& state, Time now) {
  if (out_ == nullptr) return;
  if (rate_from_ == Time{}) rate_from_ = now;
  if (state.done < rate_done_ || now - rate_from_ >= kRateOver) {
    const double over = std::chrono::duration<double>(now - rate_from_).count();
    const uint64_t more = state.done < rate_done_ ? state.done : state.done - rate_done_;
    if (over > 0) rate_ = static_cast<double>(more) / over;
    rate_from_ = now;
    rate_done_ = state.done;
  }
  const auto every = std::chrono::milliseconds(terminal_ ? 100 : 1000);
  if (shown_ != Time{} && now - shown_ < every) return;
  shown_ = now;
  if (terminal_) {
    std::fprintf(out_, "\r%s\033[K", line(title_, state, rate_, columns(out_)).c_str());
    on_line_ = true;
  } else {
    std::fprintf(out_, "%s\n", line(title_, state, rate_, 200).c_str());
  }
  std::fflush(out_);
}

}  // namespace latchkey::bench
