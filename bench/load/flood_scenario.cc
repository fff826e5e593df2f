#include "bench/load/flood_scenario.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "bench/load/descriptors.h"
#include "bench/load/handshake_stream.h"
#include "bench/load/wave.h"

namespace latchkey::bench {
namespace {

constexpr unsigned kTouchAtATime = 16;
constexpr const char* kUnknown = "unknown";
// Of those that come at once, so many before the cached ones' turn: what they wait for here would
// look like the server's doing.
constexpr size_t kHellosATurn = 2;
constexpr double kLongestWait = 5;  // seconds

class FloodLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane) {
    auto cached = names_of(lane);
    if (!cached) return std::move(cached).error();
    auto unknown = Names::make(lane.options.flood_names, lane.index, lane.count);
    if (!unknown) return std::move(unknown).error();
    return std::unique_ptr<Load>(new FloodLoad(lane, *std::move(cached), *std::move(unknown)));
  }

  // Each name that is to be cached is asked for once.
  void prepare() override {
    touch_.when_all_ended([this] { touched_ = true; });
    touch_.begin(Engine::now());
    wave_.prepare();
  }
  bool ready() const override { return touched_ && wave_.ready(); }

  void begin(Time now) override {
    cached_.begin(now);
    flood_timer_.set(lane_.recorder.window().begin());
  }
  void stop() override {
    cached_.stop();
    unknown_.stop();
  }
  size_t under_way() const override {
    return cached_.under_way() + unknown_.under_way() + wave_.under_way();
  }

 private:
  using Measured = HandshakeStream::Plan::Measured;

  FloodLoad(Lane& lane, Names cached, Names unknown)
      : lane_(lane),
        touch_(lane, touch_plan(cached), cached),
        cached_(lane, cached_plan(lane), std::move(cached)),
        unknown_(lane, unknown_plan(lane), unknown),
        wave_latency_(lane.recorder.latency(kUnknown)),
        wave_(lane, wave_plan(), std::move(unknown)),
        flood_timer_(lane.engine, [this] {
          if (lane_.options.flood_rate > 0) unknown_.begin(lane_.recorder.window().begin());
          wave_.send();
        }) {}

  static HandshakeStream::Plan touch_plan(const Names& names) {
    HandshakeStream::Plan plan;
    plan.connections = kTouchAtATime;
    plan.count = names.size();
    plan.measured = Measured::kNo;
    return plan;
  }
  // Either stream leaves descriptors for the other.
  static uint64_t half_of_all(const Lane& lane) {
    return std::max<uint64_t>(1, usable_descriptors() / lane.count / 2);
  }
  static HandshakeStream::Plan cached_plan(const Lane& lane) {
    HandshakeStream::Plan plan;
    plan.rate = lane.options.rate / lane.count;
    plan.arrivals = lane.options.arrivals;
    plan.first_second = true;
    plan.most_open = half_of_all(lane);
    return plan;
  }
  static HandshakeStream::Plan unknown_plan(const Lane& lane) {
    HandshakeStream::Plan plan;
    plan.latency = kUnknown;
    plan.stream = 1;
    plan.rate = lane.options.flood_rate / lane.count;
    plan.arrivals = lane.options.arrivals;
    plan.expect = HandshakeStream::Expect::kEither;
    plan.measured = Measured::kBeside;
    plan.most_open = half_of_all(lane);
    return plan;
  }
  Wave::Plan wave_plan() {
    Wave::Plan plan;
    plan.count = share(lane_.options.flood_count, lane_);
    plan.at_a_turn = kHellosATurn;
    plan.ended = [this](Time now, std::string_view failure) { ended(now, failure); };
    return plan;
  }
  // One of the wave, which is no operation.
  void ended(Time now, std::string_view failure) {
    const std::string unknown(kUnknown);
    if (failure.empty() || failure.starts_with("alert ")) {
      lane_.recorder.took(wave_.sent_at(), now, wave_latency_);
      lane_.facts[unknown + " " + std::string(failure.empty() ? "served" : failure)] += 1;
    } else {
      lane_.recorder.noted(now, unknown + ": " + std::string(failure));
    }
  }

  Lane& lane_;
  bool touched_ = false;
  HandshakeStream touch_, cached_, unknown_;
  Histogram& wave_latency_;
  Wave wave_;
  Engine::Timer flood_timer_;
};

}  // namespace

Result<> settle_flood(Options& options) {
  using Kind = NamePlan::Kind;
  if (options.names.kind == Kind::kNone || options.names.kind == Kind::kRandom) {
    return Error{ErrorCode::kInvalid,
                 "flood: expected names that the server has: --sni, --sni-file or --sni-range"};
  }
  if (options.count != 0 || options.connections != 0) {
    return Error{ErrorCode::kInvalid,
                 "flood: expected --rate and --duration, without --count and --connections"};
  }
  if (options.flood_rate > 0 && options.flood_count != 0) {
    return Error{ErrorCode::kInvalid, "flood: expected --flood-rate or --flood-count, not both"};
  }
  // Of the descriptors that --flood-count leaves, the cached ones need as many.
  if (auto fits = check_descriptors("--flood-count", options.flood_count, usable_descriptors() / 2);
      !fits) {
    return fits;
  }
  if (options.flood_count != 0 && options.warmup > kLongestWait) {
    return Error{
        ErrorCode::kInvalid,
        "flood: --warmup: expected at most 5 s with --flood-count, whose clients are connected "
        "before it: servers close those that say nothing for long"};
  }
  if (options.flood_names.kind == Kind::kNone) {
    options.flood_names.kind = Kind::kRandom;
    options.flood_names.text = "%s.flood.test";
  }
  if (options.rate == 0) options.rate = 500;
  return Unit{};
}

Result<Measurement> run_flood(const Options& options, const TlsClient& client) {
  Course course;
  course.make = FloodLoad::make;
  return run_course(options, client, course);
}

}  // namespace latchkey::bench
