#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/breaker.h"
#include "base/clock.h"
#include "base/task.h"
#include "base/turnstile.h"

namespace latchkey {

// The OCSP responders, by scheme, host and port: how many requests each gets at once, and which are
// down. The first five failures in a row open a breaker; from then on it is asked once a minute
// until it answers. Control thread; outlives its visits.
class Responders {
 public:
  struct Options {
    size_t at_once = 16;  // in all
    size_t at_once_each = 4;
    size_t waiting_each = 32;  // at one that is slow; those at it included
  };

 private:
  struct Responder;

 public:
  // Somebody who wants to ask, or does.
  class Visit {
   public:
    Visit(Visit&&) noexcept = default;
    Visit& operator=(Visit&&) = delete;
    ~Visit();

    // Waits for a place, which it keeps. Then it may ask, once, and tells what came of it. Error
    // (kThrottled): no place within `limit`, or the responder is down and this is not the one who
    // finds out whether it still is.
    Task<> enter(Millis limit);
    void succeeded();
    // True: that opened the breaker. `stay_away`: for so long, if the responder said so.
    bool failed(Millis stay_away);
    // Is somebody asking at all? How long there has been no answer; 0: it is not down.
    Millis down_for() const;
    const std::string& responder() const { return key_; }

   private:
    friend class Responders;
    Visit(Responders& all, std::string key, std::shared_ptr<Responder> responder);

    void answered();

    Responders* all_;
    std::string key_;
    std::shared_ptr<Responder> responder_;  // null: moved from
    // Given back before the responder is let go.
    Turnstile::Pass place_, place_of_all_;
    TimePoint entered_{};
  };

  Responders(Options options, Clock& clock);
  ~Responders();

  // nullopt: enough wait for it already, and it is slow. `urgent` ones are never too many.
  std::optional<Visit> visit(const std::string& url, bool urgent);
  bool is_down(const std::string& url) const;
  size_t size() const { return known_.size(); }

 private:
  static std::string key_of(const std::string& url);
  void forget_idle();

  const Options options_;
  Clock& clock_;
  Turnstile places_;
  // Those at work, and those that failed; <= kMaxKnown.
  std::map<std::string, std::shared_ptr<Responder>> known_;
};

}  // namespace latchkey
