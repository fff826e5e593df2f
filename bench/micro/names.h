#pragma once
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/server_name.h"

namespace latchkey::bench {

inline ServerName parsed(const std::string& text) {
  auto name = ServerName::parse(text);
  CHECK(name);
  return *std::move(name);
}

// "shop7.customers.example"
inline std::string shop(uint64_t number) {
  return "shop" + std::to_string(number) + ".customers.example";
}

// Names to look up, one after the other, over and over: enough of them, in no order, that what they
// find is not in the CPU's first caches by itself. Always the same ones.
class Rota {
 public:
  static constexpr size_t kNames = 1 << 14;

  // Of the shops from `first` on, `count` of them; `text` makes something else of each.
  template <typename Text>
  Rota(uint64_t first, uint64_t count, Text text) {
    std::mt19937_64 random(7);
    names_.reserve(kNames);
    for (size_t i = 0; i < kNames; ++i) names_.push_back(parsed(text(first + random() % count)));
  }
  Rota(uint64_t first, uint64_t count) : Rota(first, count, shop) {}

  const ServerName& next() { return names_[at_++ % kNames]; }

 private:
  std::vector<ServerName> names_;
  size_t at_ = 0;
};

}  // namespace latchkey::bench
