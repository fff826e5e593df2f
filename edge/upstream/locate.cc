#include "edge/upstream/locate.h"

#include <algorithm>
#include <utility>

#include "base/task.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxServices = 16;  // of one SRV name whose hosts are looked up
constexpr size_t kMaxPlaces = 256;

// The shorter one of those that somebody said.
Millis shorter(Millis one, Millis other) {
  if (one == Millis(0) || other == Millis(0)) return std::max(one, other);
  return std::min(one, other);
}

Task<Located> locate_host(Resolver& resolver, Origin origin) {
  Resolver::Located found = co_await resolver.locate(origin.host);
  Located out;
  out.good_for = found.good_for;
  for (std::string& address : found.addresses) {
    out.places.push_back({std::move(address), origin.port, 1, 0, origin.host});
  }
  co_return out;
}

// RFC 2782: priorities are tiers; a weight of 0 is a very small one.
Task<Located> locate_service(Resolver& resolver, Origin origin) {
  Resolver::Services found = co_await resolver.services(origin.host);
  std::stable_sort(found.services.begin(), found.services.end(),
                   [](const auto& a, const auto& b) { return a.priority < b.priority; });
  if (found.services.size() > kMaxServices) found.services.resize(kMaxServices);
  Located out;
  out.good_for = found.good_for;
  Error last{ErrorCode::kNotFound, "resolving " + origin.host + ": no server of it has an address"};
  for (const Resolver::Service& service : found.services) {
    const Result<Resolver::Located> located = co_await resolver.locate(service.host).result();
    if (!located) {
      last = located.error();
      continue;
    }
    out.good_for = shorter(out.good_for, located->good_for);
    const unsigned weight = std::max(1U, unsigned{service.weight});
    for (const std::string& address : located->addresses) {
      if (out.places.size() == kMaxPlaces) break;
      out.places.push_back({address, service.port, weight, service.priority, service.host});
    }
  }
  if (out.places.empty()) co_return last;
  co_return out;
}

Task<> answer(Task<Located> task, std::function<void(Result<Located>)> done) {
  Result<Located> found = co_await std::move(task).result();
  done(std::move(found));
  co_return Unit{};
}

}  // namespace

Locate locate_by(Resolver& resolver) {
  return [&resolver](const Origin& origin, std::function<void(Result<Located>)> done) {
    Task<Located> task =
        origin.srv ? locate_service(resolver, origin) : locate_host(resolver, origin);
    const auto question = std::make_shared<Task<>>(answer(std::move(task), std::move(done)));
    question->start();
    return std::shared_ptr<void>(question);
  };
}

}  // namespace latchkey::edge
