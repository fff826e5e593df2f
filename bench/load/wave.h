#pragma once
#include <functional>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/load/names.h"
#include "bench/load/run.h"

namespace latchkey::bench {

// Clients that come at one moment. Each is connected and has made its ClientHello by then: what is
// seen is the server's work, not ours.
class Wave {
 public:
  struct Plan {
    size_t count = 0;
    // So many hellos leave before others' answers are looked at.
    size_t at_a_turn = std::numeric_limits<size_t>::max();
    // What became of each, after its hello's moment; empty: served. May not destroy the wave.
    std::function<void(Time now, std::string_view failure)> ended;
  };

  Wave(Lane& lane, Plan plan, Names names);
  ~Wave();
  Wave(const Wave&) = delete;

  void prepare();
  bool ready() const { return prepared_ == members_.size(); }
  void send();
  Time sent_at() const { return began_; }  // the moment
  size_t under_way() const { return began_ == Time{} ? 0 : members_.size() - ended_; }

 private:
  struct Member;
  void connect_next();
  void member_prepared();
  void send_some();
  void ended(Member& member, std::string_view failure);

  Lane& lane_;
  const Plan plan_;
  Names names_;
  std::vector<std::unique_ptr<Member>> members_;
  Engine::Timer rest_;
  size_t next_ = 0, prepared_ = 0, sent_ = 0, ended_ = 0;
  Time began_{};
};

}  // namespace latchkey::bench
