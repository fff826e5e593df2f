#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "bench/load/arrivals.h"
#include "bench/load/http_peer.h"
#include "bench/load/run.h"

namespace latchkey::bench {

// Requests over kept connections, or (HttpRequest::close) over a connection each. In a closed loop
// every stream of every connection has a request under way; in an open one requests that find no
// free stream wait, and their latency counts from the moment for which they were planned.
class HttpLoad final : public Load, private HttpPeer::Owner {
 public:
  struct Plan {
    HttpRequest request;
    unsigned connections = 1;     // of this lane
    double rate = 0;              // of all lanes; 0: a closed loop
    uint64_t count = UINT64_MAX;  // requests of this lane, then lane.finished()
  };
  HttpLoad(Lane& lane, Names names, Plan plan);
  ~HttpLoad() override;

  void prepare() override;
  bool ready() const override { return seen_up_ >= peers_.size(); }
  void begin(Time now) override;
  void stop() override;
  size_t under_way() const override { return under_way_; }

 private:
  // What may carry one request at a time: a stream of a connection.
  struct Slot {
    Time planned{}, began{};
    bool busy = false;
    bool listed = false;  // in free_
  };
  struct Peer {
    std::unique_ptr<HttpPeer> http;
    std::vector<Slot> slots;
    bool seen_up = false;
  };
  struct Place {
    uint32_t peer, slot;
  };

  void on_up(HttpPeer& peer) override;
  void on_first_byte(HttpPeer& peer, uint32_t number) override;
  void on_answer(HttpPeer& peer, uint32_t number, std::string_view failure) override;
  void on_down(HttpPeer& peer, std::string_view failure) override;
  void on_moved(uint64_t in, uint64_t out) override;

  bool usable(const Peer& peer) const;
  void open_next();
  void open(Peer& peer);
  void offer(Place place);
  void start(Place place, Time planned, Time now);
  void plan_due();
  void ended(Slot& slot, Time now, std::string_view failure);
  std::optional<Place> take_free();
  void look_for_late();

  Lane& lane_;
  Names names_;
  const HttpRequest request_;
  const double rate_;
  uint64_t left_;  // requests that have not begun, or are not planned
  Histogram& request_latency_;
  Histogram& first_byte_latency_;
  std::vector<Peer> peers_;
  std::vector<Place> free_;   // open loop
  std::deque<Time> waiting_;  // likewise: planned, and no slot was free
  std::optional<Arrivals> arrivals_;
  Engine::Timer arrival_timer_, late_timer_;
  size_t opened_ = 0, seen_up_ = 0;  // of prepare()
  size_t under_way_ = 0;
  uint64_t in_ = 0, out_ = 0;  // bytes that are not recorded yet
  bool running_ = false, stopped_ = false;
};

}  // namespace latchkey::bench
