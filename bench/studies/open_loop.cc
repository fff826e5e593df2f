#include "bench/studies/open_loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <list>
#include <random>

#include "base/check.h"
#include "tests/support/client_hello.h"
#include "tests/support/fd.h"

namespace latchkey::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using test::Fd;

constexpr auto kLimit = std::chrono::seconds(10);  // for one handshake
constexpr int kAlertOffset = 1000;                 // BoringSSL: a received alert n is reason 1000+n

struct Connection {
  Fd fd;
  bssl::UniquePtr<SSL> ssl{};  // null: hello only
  std::string unsent{};        // of the hello
  size_t stream = 0;
  Time planned{};
  bool waits_to_write = false;
  std::list<Connection>::iterator place{};
};

enum class Outcome { kNone, kFinished, kRefused, kFailed };

uint32_t source(size_t index) {
  return (127u << 24) + (16u << 16) + static_cast<uint32_t>(index % 60'000 + 1);
}

Fd begin_connection(uint16_t port, size_t index) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  CHECK(fd);
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(source(index));
  CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result != 0 && errno != EINPROGRESS) return Fd();
  return fd;
}

Outcome send_hello(Connection& connection) {
  while (!connection.unsent.empty()) {
    const ssize_t n =
        send(connection.fd.get(), connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (n < 0) {
      connection.waits_to_write = errno == EAGAIN;
      return errno == EAGAIN ? Outcome::kNone : Outcome::kFailed;
    }
    connection.unsent.erase(0, static_cast<size_t>(n));
  }
  connection.waits_to_write = false;
  return Outcome::kNone;
}

// The first record tells.
Outcome read_answer(Connection& connection) {
  char bytes[16];
  const ssize_t n = recv(connection.fd.get(), bytes, sizeof bytes, 0);
  if (n < 0) return errno == EAGAIN ? Outcome::kNone : Outcome::kFailed;
  if (n == 0) return Outcome::kFailed;
  return bytes[0] == 21 ? Outcome::kRefused : Outcome::kFinished;
}

Outcome shake_hands(Connection& connection) {
  ERR_clear_error();
  const int result = SSL_do_handshake(connection.ssl.get());
  if (result == 1) return Outcome::kFinished;
  const int why = SSL_get_error(connection.ssl.get(), result);
  connection.waits_to_write = why == SSL_ERROR_WANT_WRITE;
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return Outcome::kNone;
  const bool alert = ERR_GET_REASON(ERR_peek_error()) >= kAlertOffset;
  return alert ? Outcome::kRefused : Outcome::kFailed;
}

Outcome step(Connection& connection) {
  if (connection.ssl) return shake_hands(connection);
  if (!connection.unsent.empty()) return send_hello(connection);
  return read_answer(connection);
}

// The planned starts of all streams, in order.
struct Start {
  std::chrono::nanoseconds at;
  size_t stream;
  size_t index;  // in the stream
};
std::vector<Start> plan(const std::vector<Stream>& streams, std::chrono::seconds time) {
  std::vector<Start> starts;
  for (size_t s = 0; s < streams.size(); ++s) {
    std::mt19937_64 random(s + 1);
    std::exponential_distribution<double> gap(streams[s].rate);
    double at = 0;
    for (size_t i = 0; (at += gap(random)) < static_cast<double>(time.count()); ++i) {
      starts.push_back({std::chrono::nanoseconds(static_cast<int64_t>(at * 1e9)), s, i});
    }
  }
  std::sort(starts.begin(), starts.end(),
            [](const Start& a, const Start& b) { return a.at < b.at; });
  return starts;
}

}  // namespace

struct OpenLoop::Impl {
  explicit Impl(uint16_t to)
      : port(to),
        context(SSL_CTX_new(TLS_with_buffers_method())),
        epoll(epoll_create1(EPOLL_CLOEXEC)),
        timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    CHECK(context && epoll && timer);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_set_custom_verify(context.get(), SSL_VERIFY_NONE,
                              [](SSL*, uint8_t*) { return ssl_verify_ok; });
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr;
    CHECK(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event) == 0);
  }

  void begin(const Stream& stream, const Start& start, Time planned) {
    Connection& c = open.emplace_back();
    c.place = std::prev(open.end());
    c.stream = start.stream;
    c.planned = planned;
    c.fd = begin_connection(port, ++connections);
    if (!c.fd) return finish(c, Outcome::kFailed);
    const std::string name = stream.name(start.index);
    if (stream.hello_only) {
      c.unsent = test::client_hello_for(name);
    } else {
      c.ssl.reset(SSL_new(context.get()));
      SSL_set_connect_state(c.ssl.get());
      SSL_set_fd(c.ssl.get(), c.fd.get());
      CHECK(SSL_set_tlsext_host_name(c.ssl.get(), name.c_str()) == 1);
    }
    const Outcome outcome = step(c);
    if (outcome != Outcome::kNone) return finish(c, outcome);
    epoll_event event{};
    event.events = c.waits_to_write ? EPOLLOUT : EPOLLIN;
    event.data.ptr = &c;
    CHECK(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, c.fd.get(), &event) == 0);
  }

  void go_on(Connection& c) {
    const bool before = c.waits_to_write;
    const Outcome outcome = step(c);
    if (outcome != Outcome::kNone) return finish(c, outcome);
    if (c.waits_to_write == before) return;
    epoll_event event{};
    event.events = c.waits_to_write ? EPOLLOUT : EPOLLIN;
    event.data.ptr = &c;
    epoll_ctl(epoll.get(), EPOLL_CTL_MOD, c.fd.get(), &event);
  }

  void finish(Connection& c, Outcome outcome) {
    StreamResult& result = results[c.stream];
    const std::chrono::duration<double, std::milli> took = Clock::now() - c.planned;
    result.ms.push_back(took.count());
    if (outcome == Outcome::kFinished) ++result.finished;
    if (outcome == Outcome::kRefused) ++result.refused;
    if (outcome == Outcome::kFailed) ++result.failed;
    open.erase(c.place);  // closes
  }

  // The oldest are at the head.
  void give_up_on_the_slow(Time now) {
    while (!open.empty() && now - open.front().planned > kLimit) {
      finish(open.front(), Outcome::kFailed);
    }
  }

  void wake_at(Time at) {
    const auto left = std::max<int64_t>(1, (at - Clock::now()).count());
    itimerspec spec{};
    spec.it_value.tv_sec = left / 1'000'000'000;
    spec.it_value.tv_nsec = left % 1'000'000'000;
    timerfd_settime(timer.get(), 0, &spec, nullptr);
  }

  const uint16_t port;
  const bssl::UniquePtr<SSL_CTX> context;
  const Fd epoll, timer;
  std::list<Connection> open{};
  std::vector<StreamResult> results{};
  size_t connections = 0;  // ever
};

OpenLoop::OpenLoop(uint16_t port) : impl_(std::make_unique<Impl>(port)) {}

OpenLoop::~OpenLoop() = default;

std::vector<StreamResult> OpenLoop::run(const std::vector<Stream>& streams,
                                        std::chrono::seconds time) {
  Impl& impl = *impl_;
  const std::vector<Start> starts = plan(streams, time);
  impl.results.assign(streams.size(), {});
  const Time zero = Clock::now() + std::chrono::milliseconds(10);
  size_t begun = 0;
  std::vector<epoll_event> events(64);
  while (begun < starts.size() || !impl.open.empty()) {
    // A few at a time: answers that are there already are not to wait for all that is due.
    for (int turn = 0; turn < 4 && begun < starts.size(); ++turn) {
      const Time planned = zero + starts[begun].at;
      if (planned > Clock::now()) break;
      impl.begin(streams[starts[begun].stream], starts[begun], planned);
      ++begun;
    }
    const Time now = Clock::now();
    const Time next = begun < starts.size() ? zero + starts[begun].at : now + kLimit / 10;
    if (next > now) impl.wake_at(next);
    const int n = epoll_wait(impl.epoll.get(), events.data(), static_cast<int>(events.size()),
                             next > now ? 2000 : 0);
    for (int e = 0; e < n; ++e) {
      auto* connection = static_cast<Connection*>(events[static_cast<size_t>(e)].data.ptr);
      if (connection != nullptr) {
        impl.go_on(*connection);
      } else {
        uint64_t expirations = 0;
        (void)!read(impl.timer.get(), &expirations, sizeof expirations);
      }
    }
    impl.give_up_on_the_slow(Clock::now());
  }
  return std::move(impl.results);
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace latchkey::bench
