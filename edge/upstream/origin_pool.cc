#include "edge/upstream/origin_pool.h"

#include <algorithm>
#include <utility>

namespace latchkey::edge {
namespace {

// A connection that several wait for, each by his own limit, goes on for the others.
constexpr Millis kSharedLimit{5'000};

std::unique_ptr<OriginStream> on_http1(std::unique_ptr<Transport> transport,
                                       const EndpointPtr& endpoint) {
  return std::make_unique<OriginConnection>(std::move(transport), endpoint);
}

}  // namespace

size_t fair_max_idle(size_t max_descriptors, size_t workers) {
  return std::clamp<size_t>(max_descriptors / 8 / std::max<size_t>(1, workers), 16, 1024);
}

OriginPool::OriginPool(uv_loop_t& loop, Clock& clock, OriginLimits limits)
    : loop_(loop), clock_(clock), limits_(limits) {}

OriginPool::~OriginPool() {
  for (auto& [key, shared] : shared_) {
    for (const auto& connection : shared.connections) connection->on_over(nullptr);
  }
}

std::unique_ptr<OriginStream> OriginPool::take(const Endpoint& endpoint, bool surely) {
  if (const auto found = shared_.find(endpoint.key); found != shared_.end()) {
    for (const auto& connection : found->second.connections) {
      if (connection->has_room()) return connection->open();
    }
  }
  for (;;) {
    const auto found = shelves_.find(endpoint.key);
    if (found == shelves_.end() || found->second.empty()) return nullptr;
    auto resting = remove(found->first, *found->second.back()->connection);
    if (!surely || !resting->stale()) return resting;
  }
}

void OriginPool::give_back(std::unique_ptr<OriginStream> stream) {
  // One that has said which client it is for carries nobody else's requests.
  if (!stream->reusable() || stream->endpoint().proxy_protocol != ProxyOut::kNone) return;
  std::unique_ptr<OriginConnection> connection(static_cast<OriginConnection*>(stream.release()));
  OriginConnection* const raw = connection.get();
  const std::string& key = raw->endpoint().key;
  raw->rest([this, raw] { remove(raw->endpoint().key, *raw); });
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

std::unique_ptr<OriginConnection> OriginPool::remove(const std::string& key,
                                                     const OriginConnection& which) {
  const auto found = shelves_.find(key);
  Shelf& shelf = found->second;
  // Mostly it is the last one, for take().
  const auto at =
      std::prev(std::find_if(shelf.rbegin(), shelf.rend(), [&](const Rest::iterator& resting) {
                  return resting->connection.get() == &which;
                }).base());
  auto connection = std::move((*at)->connection);
  rest_.erase(*at);
  shelf.erase(at);  // one that is empty now stays until the next sweep
  return connection;
}

void OriginPool::close_oldest() {
  const OriginConnection& oldest = *rest_.front().connection;
  remove(oldest.endpoint().key, oldest);
}

void OriginPool::arm() {
  sweep_ = clock_.after(limits_.idle_time / 2, [this] { sweep(); });
}

// Closes what has rested for its time, or will have by the middle of the next round.
void OriginPool::sweep() {
  const Alarm fired = std::move(sweep_);
  const TimePoint oldest = clock_.now() - limits_.idle_time / 2;
  while (!rest_.empty() && rest_.front().since <= oldest) close_oldest();
  std::erase_if(shelves_, [](const auto& shelf) { return shelf.second.empty(); });
  for (auto next = shared_.begin(); next != shared_.end();) {
    Shared& shared = next->second;
    std::erase_if(shared.connections, [&](const std::shared_ptr<Http2Origin>& connection) {
      return connection->streams() == 0 && connection->idle_since() <= oldest;
    });
    next = shared.empty() ? shared_.erase(next) : std::next(next);
  }
  if (!rest_.empty() || !shelves_.empty() || !shared_.empty()) arm();
}

std::unique_ptr<OriginPool::Connecting> OriginPool::connect(EndpointPtr endpoint,
                                                            std::string greeting, Millis limit,
                                                            Done done) {
  return std::make_unique<Connecting>(*this, std::move(endpoint), std::move(greeting), limit,
                                      std::move(done));
}

void OriginPool::share(Connecting& waiting) {
  Shared& shared = shared_[waiting.endpoint_->key];
  shared.waiting.push_back(waiting);
  waiting.patience_ = clock_.after(waiting.limit_, [&waiting] { waiting.give_up(); });
  if (sweep_ == nullptr) arm();
  if (shared.connector != nullptr) return;
  shared.connector = std::make_unique<Connector>(
      loop_, clock_, waiting.endpoint_, std::string(), std::max(waiting.limit_, kSharedLimit),
      [this, endpoint = waiting.endpoint_](Result<Connector::Connected> result) {
        on_shared(endpoint, std::move(result));
      });
}

void OriginPool::on_shared(const EndpointPtr& endpoint, Result<Connector::Connected> result) {
  Shared& shared = shared_[endpoint->key];
  const auto connector = std::move(shared.connector);
  Link waiting;
  waiting.take(shared.waiting);
  std::shared_ptr<Http2Origin> http2;
  if (result && result->http2) {
    http2 = adopt(std::move(result->transport), endpoint);
  } else if (shared.empty()) {
    shared_.erase(endpoint->key);
  }
  while (!waiting.alone()) {
    auto& next = static_cast<Connecting&>(waiting.next());
    next.unlink();
    if (!result) {
      next.report(Error(result.error()));
    } else if (http2 != nullptr && http2->has_room()) {
      next.report(http2->open());
    } else if (http2 != nullptr) {
      share(next);  // it is full: another one
    } else if (result->transport != nullptr) {
      next.report(on_http1(std::move(result->transport), endpoint));
    } else {
      next.start_alone();  // the upstream speaks HTTP/1.1, where nothing is shared
    }
  }
}

std::shared_ptr<Http2Origin> OriginPool::adopt(std::unique_ptr<Transport> transport,
                                               const EndpointPtr& endpoint) {
  auto http2 = std::make_shared<Http2Origin>(std::move(transport), clock_, endpoint);
  http2->on_over([this, key = endpoint->key, raw = http2.get()] { retire(key, *raw); });
  shared_[endpoint->key].connections.push_back(http2);
  if (sweep_ == nullptr) arm();
  return http2;
}

void OriginPool::retire(const std::string& key, const Http2Origin& which) {
  const auto found = shared_.find(key);
  if (found == shared_.end()) return;
  std::erase_if(found->second.connections, [&](const std::shared_ptr<Http2Origin>& connection) {
    return connection.get() == &which;
  });
  if (found->second.empty()) shared_.erase(found);
}

OriginPool::Connecting::Connecting(OriginPool& pool, EndpointPtr endpoint, std::string greeting,
                                   Millis limit, Done done)
    : pool_(pool),
      endpoint_(std::move(endpoint)),
      greeting_(std::move(greeting)),
      limit_(limit),
      done_(std::move(done)) {
  if (endpoint_->http2) {
    pool_.share(*this);
  } else {
    start_alone();
  }
}

void OriginPool::Connecting::give_up() {
  unlink();
  report(Error{ErrorCode::kTimeout, "connecting to " + endpoint_->text() + " took over " +
                                        std::to_string(limit_.count()) + " ms"});
}

void OriginPool::Connecting::start_alone() {
  patience_.reset();
  connector_ = std::make_unique<Connector>(
      pool_.loop_, pool_.clock_, endpoint_, greeting_, limit_,
      [this](Result<Connector::Connected> result) { on_connected(std::move(result)); });
}

void OriginPool::Connecting::on_connected(Result<Connector::Connected> result) {
  const auto connector = std::move(connector_);
  if (!result) return report(std::move(result).error());
  if (!result->http2) {
    return report(on_http1(std::move(result->transport), endpoint_));
  }
  report(pool_.adopt(std::move(result->transport), endpoint_)->open());
}

void OriginPool::Connecting::report(Result<std::unique_ptr<OriginStream>> result) {
  patience_.reset();
  const Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace latchkey::edge
