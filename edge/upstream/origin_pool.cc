#include "edge/upstream/origin_pool.h"

#include <algorithm>
#include <utility>

namespace latchkey::edge {
namespace {

bool is_numeric(const std::string& host) {
  sockaddr_in v4;
  sockaddr_in6 v6;
  return uv_ip4_addr(host.c_str(), 0, &v4) == 0 || uv_ip6_addr(host.c_str(), 0, &v6) == 0;
}

constexpr Millis kPatience{1'000};

}  // namespace

size_t fair_max_idle(size_t max_descriptors, size_t workers) {
  return std::clamp<size_t>(max_descriptors / 8 / std::max<size_t>(1, workers), 16, 1024);
}

OriginPool::OriginPool(uv_loop_t& loop, Clock& clock, Resolve resolve, OriginLimits limits)
    : loop_(loop), clock_(clock), resolve_(std::move(resolve)), limits_(limits) {}

OriginPool::~OriginPool() = default;

std::unique_ptr<OriginConnection> OriginPool::take(const Origin& origin) {
  const auto found = shelves_.find(origin.text());
  if (found == shelves_.end()) return nullptr;
  return remove(found->first, *found->second.back()->connection);
}

void OriginPool::give_back(std::unique_ptr<OriginConnection> connection) {
  if (!connection->reusable()) return;
  const std::string key = connection->origin().text();
  OriginConnection* const raw = connection.get();
  raw->rest([this, key, raw] { remove(key, *raw); });
  rest_.push_back({std::move(connection), clock_.now()});
  Shelf& shelf = shelves_[key];
  shelf.push_back(std::prev(rest_.end()));
  if (shelf.size() > limits_.max_idle) {
    remove(key, *shelf.front()->connection);
  } else if (rest_.size() > limits_.max_idle_all) {
    close_oldest();
  }
  if (sweep_ == nullptr) arm();
}

std::unique_ptr<OriginConnection> OriginPool::remove(const std::string& origin,
                                                     const OriginConnection& which) {
  const auto found = shelves_.find(origin);
  Shelf& shelf = found->second;
  // Mostly it is the last one, for take().
  const auto at =
      std::prev(std::find_if(shelf.rbegin(), shelf.rend(), [&](const Rest::iterator& resting) {
                  return resting->connection.get() == &which;
                }).base());
  auto connection = std::move((*at)->connection);
  rest_.erase(*at);
  shelf.erase(at);
  if (shelf.empty()) shelves_.erase(found);
  return connection;
}

void OriginPool::close_oldest() {
  const OriginConnection& oldest = *rest_.front().connection;
  remove(oldest.origin().text(), oldest);
}

void OriginPool::arm() {
  sweep_ = clock_.after(limits_.idle_time / 2, [this] { sweep(); });
}

// Closes what has rested for its time, or will have by the middle of the next round.
void OriginPool::sweep() {
  const Alarm fired = std::move(sweep_);
  const TimePoint oldest = clock_.now() - limits_.idle_time / 2;
  while (!rest_.empty() && rest_.front().since <= oldest) close_oldest();
  if (!rest_.empty()) arm();
}

std::unique_ptr<OriginPool::Connecting> OriginPool::connect(const Origin& origin, Done done) {
  return std::make_unique<Connecting>(*this, origin, std::move(done));
}

OriginPool::Connecting::Connecting(OriginPool& pool, const Origin& origin, Done done)
    : pool_(pool), origin_(origin), done_(std::move(done)) {
  limit_ = pool_.clock_.after(pool_.limits_.connect_time, [this] {
    report(Error{ErrorCode::kTimeout, "connecting to " + origin_.text() + " took over " +
                                          std::to_string(pool_.limits_.connect_time.count()) +
                                          " ms"});
  });
  if (is_numeric(origin_.host)) {
    addresses_ = {origin_.host};
    try_next();
    return;
  }
  lookup_ = pool_.resolve_(origin_.host,
                           [this](Addresses addresses) { on_addresses(std::move(addresses)); });
}

void OriginPool::Connecting::on_addresses(Addresses addresses) {
  const auto lookup = std::move(lookup_);
  if (!addresses) return report(std::move(addresses).error());
  addresses_ = *std::move(addresses);
  if (addresses_.empty()) {
    return report(Error{ErrorCode::kNotFound, origin_.host + " has no address"});
  }
  try_next();
}

void OriginPool::Connecting::try_next() {
  patience_.reset();
  // An address that says nothing must not use up the others' time.
  if (next_ + 1 < addresses_.size()) {
    patience_ = pool_.clock_.after(kPatience, [this] { try_next(); });
  }
  dial_ = std::make_unique<Dial>(
      pool_.loop_, addresses_[next_++], origin_.port,
      [this](Result<std::unique_ptr<PlainSocket>> socket) { on_dial(std::move(socket)); });
}

void OriginPool::Connecting::on_dial(Result<std::unique_ptr<PlainSocket>> socket) {
  const auto dial = std::move(dial_);
  if (!socket && next_ < addresses_.size()) return try_next();
  if (!socket) return report(std::move(socket).error());
  report(std::make_unique<OriginConnection>(*std::move(socket), origin_));
}

void OriginPool::Connecting::report(Result<std::unique_ptr<OriginConnection>> result) {
  limit_.reset();
  patience_.reset();
  const Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace latchkey::edge
