#include "bench/load/names.h"

#include <charconv>
#include <cstring>
#include <random>

#include "base/file.h"

namespace latchkey::bench {
namespace {

constexpr size_t kMaxFile = 256 << 20;

Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

// A name a line; what stands behind a # and blank lines are left out.
std::vector<std::string> names_of(std::string_view text) {
  std::vector<std::string> names;
  constexpr std::string_view kBlank = " \t\r";
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, std::min(end, text.find('#')));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const size_t begin = line.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) continue;
    line = line.substr(begin, line.find_last_not_of(kBlank) + 1 - begin);
    names.emplace_back(line);
  }
  return names;
}

}  // namespace

Names::Names(const NamePlan& plan, unsigned lane, unsigned lanes)
    : plan_(plan), lanes_(lanes), at_(lane) {
  std::random_device seed;
  // Names that are to be new must be new in the next run, too; the order of others must not change.
  state_ = plan.kind == NamePlan::Kind::kRandom ? (uint64_t{seed()} << 32 | seed()) : lane + 1;
}

Result<Names> Names::make(const NamePlan& plan, unsigned lane, unsigned lanes) {
  using Kind = NamePlan::Kind;
  Names names(plan, lane, lanes);
  if (plan.kind == Kind::kFile) {
    auto text = read_file(plan.text, kMaxFile);
    if (!text) return std::move(text).error().in("--sni-file");
    auto listed = names_of(*text);
    if (listed.empty()) {
      return invalid("--sni-file: expected a name a line, but " + plan.text + " has none");
    }
    names.listed_ = std::make_shared<const std::vector<std::string>>(std::move(listed));
  }
  if (plan.kind == Kind::kRange || plan.kind == Kind::kRandom) {
    const std::string hole = plan.kind == Kind::kRange ? "%d" : "%s";
    const size_t at = plan.text.find(hole);
    if (at == std::string::npos) {
      return invalid(std::string(plan.kind == Kind::kRange ? "--sni-range" : "--sni-random") +
                     ": expected a pattern with " + hole + ", such as " +
                     (plan.kind == Kind::kRange ? "shop%d.test" : "%s.new.test") + ", got \"" +
                     plan.text + "\"");
    }
    names.before_ = plan.text.substr(0, at);
    names.after_ = plan.text.substr(at + hole.size());
  }
  return names;
}

uint64_t Names::size() const {
  switch (plan_.kind) {
    case NamePlan::Kind::kFile:
      return listed_->size();
    case NamePlan::Kind::kRange:
      return plan_.count;
    case NamePlan::Kind::kRandom:
      return 0;
    default:
      return 1;
  }
}

std::string_view Names::next() {
  if (plan_.kind == NamePlan::Kind::kRandom) {
    random_label();
    return name_;
  }
  const uint64_t count = size();
  if (count == 1) return at(0);
  if (plan_.at_random) return at(random() % count);
  const uint64_t number = at_ % count;
  at_ += lanes_;
  return at(number);
}

std::string_view Names::at(uint64_t index) {
  index_ = index;
  switch (plan_.kind) {
    case NamePlan::Kind::kOne:
      return plan_.text;
    case NamePlan::Kind::kFile:
      return (*listed_)[(index + plan_.first) % listed_->size()];
    case NamePlan::Kind::kRange:
      number(plan_.first + index);
      return name_;
    default:
      return {};
  }
}

void Names::number(uint64_t value) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  name_.assign(before_).append(digits, static_cast<size_t>(end - digits)).append(after_);
}

// Sixty bits, so that no two runs meet.
void Names::random_label() {
  static constexpr char kLetters[] = "0123456789abcdefghijklmnopqrstuv";
  uint64_t bits = random();
  char label[12];
  for (char& letter : label) {
    letter = kLetters[bits % 32];
    bits /= 32;
  }
  name_.assign(before_).append(label, sizeof label).append(after_);
}

// SplitMix64.
uint64_t Names::random() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace latchkey::bench
