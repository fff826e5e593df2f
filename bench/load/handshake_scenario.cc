#include "bench/load/handshake_scenario.h"

#include <memory>

#include "bench/load/handshake_stream.h"

namespace latchkey::bench {
namespace {

class HandshakeLoad final : public Load {
 public:
  static Result<std::unique_ptr<Load>> make(Lane& lane) {
    auto names = names_of(lane);
    if (!names) return std::move(names).error();
    return std::unique_ptr<Load>(new HandshakeLoad(lane, *std::move(names)));
  }

  void prepare() override {
    if (tickets_) tickets_->fetch();
  }
  bool ready() const override { return !tickets_ || tickets_->complete(); }
  void begin(Time now) override { stream_.begin(now); }
  void stop() override { stream_.stop(); }
  size_t under_way() const override { return stream_.under_way(); }

 private:
  HandshakeLoad(Lane& lane, Names names)
      : tickets_(lane.options.resume ? std::make_unique<Tickets>(lane, names) : nullptr),
        stream_(lane, plan(lane), std::move(names)) {
    stream_.when_all_ended(lane.finished);
  }

  HandshakeStream::Plan plan(const Lane& lane) const {
    const Options& options = lane.options;
    HandshakeStream::Plan plan;
    plan.connections = share(options.connections, lane);
    plan.rate = options.rate / lane.count;
    plan.arrivals = options.arrivals;
    plan.count = share(options.count, lane);
    plan.tickets = tickets_.get();
    return plan;
  }

  const std::unique_ptr<Tickets> tickets_;  // null: full handshakes
  HandshakeStream stream_;
};

}  // namespace

Result<> settle_handshake(Options& options) {
  if (options.connections == 0) options.connections = 32;
  if (options.resume) {
    if (options.names.kind == NamePlan::Kind::kRandom) {
      return Error{ErrorCode::kInvalid,
                   "--resume: expected names that come again, not --sni-random"};
    }
    options.tls.tickets = true;
  }
  return enough_for_threads(options);
}

Result<Measurement> run_handshake(const Options& options, const TlsClient& client) {
  Course course;
  course.timed = options.count == 0;
  course.expected = options.count;
  course.make = HandshakeLoad::make;
  return run_course(options, client, course);
}

}  // namespace latchkey::bench
