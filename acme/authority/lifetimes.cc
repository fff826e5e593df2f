#include "acme/authority/lifetimes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace latchkey::acme {
namespace {

using std::chrono::seconds;

constexpr seconds kLongestMargin = std::chrono::minutes(5);
constexpr seconds kShortest{10};
constexpr seconds kLongest = std::chrono::days(36'500);

seconds part(double ratio, seconds of) {
  return seconds(static_cast<int64_t>(std::floor(ratio * static_cast<double>(of.count()) + 1e-6)));
}

seconds margin_of(seconds life) {
  return std::clamp(life / 100, seconds(1), kLongestMargin);
}

// For people: "33h36m", "7d", "10s".
std::string show(seconds time) {
  const int64_t all = time.count();
  if (all != 0 && all % 86'400 == 0) return std::to_string(all / 86'400) + "d";
  std::string out;
  if (all >= 3600) out += std::to_string(all / 3600) + "h";
  if (all % 3600 >= 60) out += std::to_string(all % 3600 / 60) + "m";
  if (all % 60 != 0 || out.empty()) out += std::to_string(all % 60) + "s";
  return out;
}

// As a key of the configuration takes it: one unit, rounded down, or up.
std::string value(seconds time, bool up) {
  const auto in = [&](seconds unit, const char* name) {
    return std::to_string((time + (up ? unit - seconds(1) : seconds(0))) / unit) + name;
  };
  if (time >= std::chrono::days(30)) return in(std::chrono::days(1), "d");
  if (time >= std::chrono::hours(48)) return in(std::chrono::hours(1), "h");
  if (time >= std::chrono::minutes(10)) return in(std::chrono::minutes(1), "m");
  return in(seconds(1), "s");
}

std::string show(double ratio) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", ratio);
  return text;
}

// One step of the chain: what is signed, and its signer.
struct Step {
  const char* signed_key;
  const char* signer_key;
  const char* signer_word;
  seconds signed_life;
  seconds signer_life;
  seconds margin;
};

Result<> check_step(const Step& step, double ratio) {
  const seconds window = part(ratio, step.signer_life);
  const seconds need = step.signed_life + step.margin;
  if (need < window) return Unit{};
  std::string text = std::string(step.signed_key) + " " + show(step.signed_life) + " + margin " +
                     show(step.margin) + " = " + show(need) +
                     " must be less than renewal_window_ratio " + show(ratio) + " x " +
                     step.signer_key + " " + show(step.signer_life) + " = " + show(window) +
                     ": the " + step.signer_word + " is replaced when " + show(window) +
                     " of its life are left, so what it signs just before then would outlive it";
  std::string remedies;
  const auto or_else = [&](const std::string& remedy) {
    remedies += (remedies.empty() ? "" : ", or ") + remedy;
  };
  // The margin of a shorter life is shorter still.
  const seconds shorter = window - margin_of(window) - seconds(1);
  if (shorter >= kShortest) {
    or_else(std::string(step.signed_key) + " <= " + value(shorter, false));
  }
  const seconds longer(
      static_cast<int64_t>(std::ceil(static_cast<double>(need.count() + 1) / ratio)) + 1);
  if (longer <= kLongest) or_else(std::string(step.signer_key) + " >= " + value(longer, true));
  const double wider = std::ceil(static_cast<double>(need.count() + 1) /
                                 static_cast<double>(step.signer_life.count()) * 1000) /
                       1000;
  if (wider < 1) or_else("renewal_window_ratio >= " + show(wider));
  return Error{ErrorCode::kInvalid, text + "; these would do: " + remedies};
}

}  // namespace

seconds Lifetimes::intermediate_window() const {
  return part(renewal_window_ratio, intermediate);
}
seconds Lifetimes::root_window() const {
  return part(renewal_window_ratio, root);
}
seconds Lifetimes::leaf_margin() const {
  return margin_of(leaf);
}
seconds Lifetimes::intermediate_margin() const {
  return margin_of(intermediate);
}

Result<> check_lifetimes(const Lifetimes& lifetimes) {
  const double ratio = lifetimes.renewal_window_ratio;
  if (!(ratio > 0 && ratio < 1)) {
    return Error{ErrorCode::kInvalid,
                 "renewal_window_ratio: expected a number between 0 and 1, such as 0.2: the part "
                 "of its life that a CA certificate has left when it is replaced"};
  }
  const auto check_range = [](const char* key, seconds life) -> Result<> {
    if (life >= kShortest && life <= kLongest) return Unit{};
    return Error{ErrorCode::kInvalid, std::string(key) + ": expected 10s to 36500d"};
  };
  if (auto good = check_range("leaf_lifetime", lifetimes.leaf); !good) return good;
  if (auto good = check_range("intermediate_lifetime", lifetimes.intermediate); !good) return good;
  if (auto good = check_range("root_lifetime", lifetimes.root); !good) return good;
  const Step leaf{"leaf_lifetime", "intermediate_lifetime", "intermediate",
                  lifetimes.leaf,  lifetimes.intermediate,  lifetimes.leaf_margin()};
  if (auto good = check_step(leaf, ratio); !good) return good;
  const Step intermediate{
      "intermediate_lifetime", "root_lifetime", "root",
      lifetimes.intermediate,  lifetimes.root,  lifetimes.intermediate_margin()};
  return check_step(intermediate, ratio);
}

}  // namespace latchkey::acme
