#include "tests/support/tls_swarm.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <algorithm>

#include "base/check.h"
#include "tests/support/eventually.h"

namespace latchkey::test {
namespace {

struct Member {
  Fd fd;
  std::shared_ptr<SSL> ssl;
  Stopwatch time;
};

// True once the handshake has an outcome.
bool step(Member& member, Handshake& handshake) {
  ERR_clear_error();
  const auto outcome = tls_internal::judge(member.ssl.get(), SSL_do_handshake(member.ssl.get()));
  if (!outcome) return false;
  handshake = *outcome;
  handshake.took = member.time.elapsed();
  return true;
}

}  // namespace

std::vector<Handshake> swarm(const SwarmOptions& options) {
  const auto context = tls_internal::make_context(options.roots);
  const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  CHECK(epoll);
  std::vector<Member> members(options.count);
  std::vector<Handshake> handshakes(options.count);
  for (auto& member : members) member.fd = connect_to(options.port, options.limit);

  size_t open = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    Member& member = members[i];
    if (!member.fd) {
      handshakes[i].error = "connection refused";
      continue;
    }
    fcntl(member.fd.get(), F_SETFL, fcntl(member.fd.get(), F_GETFL) | O_NONBLOCK);
    TlsOptions connection;
    connection.sni = options.sni(i);
    member.ssl = tls_internal::make_connection(context.get(), member.fd.get(), connection);
    member.time = Stopwatch();
    handshakes[i].error = "timed out";
    if (step(member, handshakes[i])) continue;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    CHECK(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, member.fd.get(), &event) == 0);
    ++open;
  }

  const Stopwatch time;
  std::vector<epoll_event> events(256);
  while (open > 0 && time.elapsed() < options.limit) {
    const auto left = std::max<int64_t>(0, (options.limit - time.elapsed()).count());
    const int n = epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()),
                             static_cast<int>(left));
    for (int e = 0; e < n; ++e) {
      const auto i = static_cast<size_t>(events[static_cast<size_t>(e)].data.u64);
      if (!step(members[i], handshakes[i])) continue;
      epoll_ctl(epoll.get(), EPOLL_CTL_DEL, members[i].fd.get(), nullptr);
      --open;
    }
  }
  return handshakes;
}

}  // namespace latchkey::test
