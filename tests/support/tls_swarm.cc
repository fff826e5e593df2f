#include "tests/support/tls_swarm.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/check.h"
#include "tests/support/eventually.h"

namespace latchkey::test {
namespace {

void raise_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Not blocking, and perhaps not yet connected. No descriptor if it was refused.
Fd begin_connection(uint16_t port, uint32_t source) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  CHECK(fd);  // else out of descriptors
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (source != INADDR_LOOPBACK) {
    setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr = htonl(source);
    CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result != 0 && errno != EINPROGRESS) return Fd();
  return fd;
}

class Swarm {
 public:
  explicit Swarm(const SwarmOptions& options)
      : options_(options),
        context_(tls_internal::make_context(options.roots)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        members_(options.count),
        handshakes_(options.count) {
    CHECK(epoll_);
  }

  std::vector<Handshake> run() {
    std::vector<epoll_event> events(256);
    while (time_.elapsed() < options_.limit && (begun_ < members_.size() || open_ > 0)) {
      const bool all_before = begun_ == members_.size();
      while (begun_ < members_.size() && time_.elapsed() >= due(begun_)) begin(begun_++);
      if (!all_before && begun_ == members_.size() && options_.rate > 0 && options_.all_sent) {
        options_.all_sent();
      }
      if (begun_ == members_.size() && open_ == 0) break;  // the last one needed no wait
      const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                               static_cast<int>(patience().count()));
      for (int e = 0; e < n; ++e) advance(events[static_cast<size_t>(e)].data.u64);
    }
    return std::move(handshakes_);
  }

 private:
  struct Member {
    Fd fd;
    std::shared_ptr<SSL> ssl;
    Stopwatch time;
    uint32_t watched = 0;  // for which events
    bool sent = false;
  };

  Millis due(size_t index) const {
    return options_.rate > 0
               ? Millis(static_cast<int64_t>(static_cast<double>(index) * 1000 / options_.rate))
               : Millis(0);
  }

  // How long one may wait for events.
  Millis patience() const {
    Millis end = options_.limit;
    if (begun_ < members_.size()) end = std::min(end, due(begun_));
    return std::max(Millis(0), end - time_.elapsed());
  }

  void begin(size_t i) {
    Member& member = members_[i];
    member.fd = begin_connection(options_.port,
                                 options_.source ? options_.source(i) : uint32_t{INADDR_LOOPBACK});
    if (!member.fd) {
      handshakes_[i].error = "connection refused";
      return count_sent(member);
    }
    TlsOptions connection;
    connection.sni = options_.sni(i);
    connection.only_rsa = options_.only_rsa;
    member.ssl = tls_internal::make_connection(context_.get(), member.fd.get(), connection);
    member.time = Stopwatch();
    handshakes_[i].error = "timed out";
    ++open_;
    epoll_event event{};
    event.data.u64 = i;
    CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, member.fd.get(), &event) == 0);
    advance(i);
  }

  void advance(size_t i) {
    Member& member = members_[i];
    ERR_clear_error();
    const auto outcome = tls_internal::judge(member.ssl.get(), SSL_do_handshake(member.ssl.get()));
    if (!outcome) {
      watch(i);
      return;
    }
    count_sent(member);
    handshakes_[i] = *outcome;
    handshakes_[i].took = member.time.elapsed();
    --open_;
    if (options_.hold) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, member.fd.get(), nullptr);
    } else {
      member.ssl.reset();
      member.fd.reset();
    }
  }

  void watch(size_t i) {
    Member& member = members_[i];
    const uint32_t wanted = SSL_want_write(member.ssl.get()) ? EPOLLOUT : EPOLLIN;
    if (wanted == EPOLLIN) count_sent(member);
    if (std::exchange(member.watched, wanted) == wanted) return;
    epoll_event event{};
    event.data.u64 = i;
    event.events = wanted;
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, member.fd.get(), &event);
  }

  void count_sent(Member& member) {
    if (std::exchange(member.sent, true)) return;
    if (++sent_ == members_.size() && options_.rate <= 0 && options_.all_sent) options_.all_sent();
  }

  const SwarmOptions& options_;
  const std::shared_ptr<SSL_CTX> context_;
  const Fd epoll_;
  const Stopwatch time_;
  std::vector<Member> members_;
  std::vector<Handshake> handshakes_;
  size_t begun_ = 0, sent_ = 0, open_ = 0;
};

}  // namespace

std::vector<Handshake> swarm(const SwarmOptions& options) {
  raise_file_limit();
  return Swarm(options).run();
}

std::function<uint32_t(size_t)> spread_sources(size_t per_prefix) {
  return [per_prefix](size_t index) {
    const auto prefix = static_cast<uint32_t>(index / per_prefix);  // 127.1.0/24, 127.1.1/24, ...
    const auto host = static_cast<uint32_t>(index % per_prefix);
    return (127u << 24) + (1u << 16) + (prefix << 8) + 1 + host;
  };
}

}  // namespace latchkey::test
