#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/resolver.h"
#include "base/result.h"
#include "edge/upstream/origin.h"

namespace latchkey::edge {

// Where the servers of an origin are, by what DNS says.
struct Located {
  struct Place {
    std::string address;  // numeric
    uint16_t port = 0;
    unsigned weight = 1;
    unsigned tier = 0;   // the lowest first; the others stand in for it
    std::string host{};  // whose address it is
  };
  std::vector<Place> places;  // <= 256
  Millis good_for{0};         // zero: nobody said
};

// Asks for them; the answer comes from the loop. Destroying what it returns ends the question; not
// from within `done`.
using Locate = std::function<std::shared_ptr<void>(const Origin& origin,
                                                   std::function<void(Result<Located>)> done)>;

// By a resolver, which outlives the questions.
Locate locate_by(Resolver& resolver);

}  // namespace latchkey::edge
