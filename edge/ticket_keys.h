#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"

namespace latchkey::edge {

// The keys that session tickets are sealed with (RFC 5077, 4; RFC 8446, 4.6.1): a new one every 12
// hours, of which the newest seals and three older ones still open. They follow from a secret and
// the time alone, so that all who share the secret (the process after a restart, the nodes of a
// cluster) take each other's tickets. Any thread.
class TicketKeys {
 public:
  static constexpr std::chrono::hours kPeriod{12};
  static constexpr int kOlder = 3;

  struct Key {
    std::array<uint8_t, 16> name;  // public: it stands in the ticket
    std::array<uint8_t, 32> cipher;
    std::array<uint8_t, 32> mac;
  };

  // `secret`: 32 random bytes. `now`: the calendar; tests move it.
  explicit TicketKeys(std::string secret, std::function<WallTime()> now = calendar);
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;

  Key newest() const;
  struct Found {
    Key key;
    bool newest;  // else the ticket is to be made anew
  };
  // Null: of another secret, or too old.
  std::optional<Found> find(std::span<const uint8_t, 16> name) const;

 private:
  static WallTime calendar();

  // Of one period and those around it; the next one, too, for clocks differ.
  struct Table;

  std::shared_ptr<const Table> table() const;

  std::string secret_;
  const std::function<WallTime()> now_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Table> table_;
};

}  // namespace latchkey::edge
