#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "edge/upstream/group.h"
#include "edge/upstream/server.h"

namespace latchkey::edge {

// What a choice depends on beside the servers.
struct ChoiceOf {
  Balance balance = Balance::kRoundRobin;
  Millis slow_start{0};
  TimePoint now{};
  std::string_view client{};           // its address, for kIpHash
  std::function<uint32_t()> random{};  // uniform
};

// The server for a request: one that is well and not among `tried`, of the lowest tier that has
// one; if nobody is well, any that was not tried. Null: all were tried. Changes their credits.
ServerPtr choose(std::span<const ServerPtr> servers, std::span<const ServerPtr> tried,
                 const ChoiceOf& of);

// The part of its weight that a server gets: less while it warms up, never nothing.
double warm_weight(const Server& server, Millis slow_start, TimePoint now);

}  // namespace latchkey::edge
