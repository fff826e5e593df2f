#include "edge/proxy_greetings.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/poller.h"
#include "edge/proxy_header.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

class ProxyGreetings::Greeting final : private SocketWatch::Owner {
 public:
  Greeting(ProxyGreetings& owner, int fd, std::string balancer, Then then)
      : owner_(owner),
        fd_(fd),
        balancer_(std::move(balancer)),
        then_(std::move(then)),
        place_(owner.connections_) {
    watch_.emplace(owner.loop_, fd, static_cast<SocketWatch::Owner&>(*this));
    watch_->want(SocketWatch::kReadable);
    late_ = owner.clock_.after(owner.limit_, [this] { fail("no whole PROXY header in time"); });
  }
  ~Greeting() {
    watch_.reset();
    if (fd_ >= 0) ::close(fd_);
  }
  Greeting(const Greeting&) = delete;

  const std::string& balancer() const { return balancer_; }
  List::iterator at;

 private:
  // What follows the header is the client's: it stays in the socket.
  void on_socket(uint8_t /*ready*/) override {
    std::array<char, kMaxProxyHeader> bytes;
    const ssize_t size = ::recv(fd_, bytes.data(), bytes.size() - seen_.size(), MSG_PEEK);
    if (size < 0 && errno == EAGAIN) return watch_->dry();
    if (size < 0 && errno == EINTR) return;
    if (size < 0) return fail(std::strerror(errno));
    if (size == 0) return fail("the connection was closed before the PROXY header");
    const size_t before = seen_.size();
    seen_.append(bytes.data(), static_cast<size_t>(size));
    const ProxyHeader header = read_proxy_header(seen_);
    if (header.state == ProxyHeader::State::kRefused) return fail(std::string(header.why));
    const bool done = header.state == ProxyHeader::State::kDone;
    const size_t taken = (done ? header.size : seen_.size()) - before;
    if (::recv(fd_, bytes.data(), taken, 0) != static_cast<ssize_t>(taken)) {
      return fail("the connection broke");
    }
    if (!done) {
      if (seen_.size() >= kMaxProxyHeader) fail("a PROXY header that does not end");
      return;
    }
    pass_on(header.source.empty() ? balancer_ : header.source);
  }
  void pass_on(std::string client) {
    watch_.reset();
    const Then then = std::move(then_);
    const int fd = std::exchange(fd_, -1);
    const std::unique_ptr<Greeting> self = std::move(*at);
    owner_.greetings_.erase(at);
    then(fd, std::move(client));
  }
  void fail(const std::string& why) { owner_.drop(*this, why); }

  ProxyGreetings& owner_;
  int fd_;
  const std::string balancer_;
  Then then_;
  const ConnectionPlace place_;
  std::optional<SocketWatch> watch_;
  std::string seen_;  // of the header, if it came in pieces: kMaxProxyHeader
  Alarm late_;
};

ProxyGreetings::ProxyGreetings(uv_loop_t& loop, Clock& clock, Log& log,
                               std::atomic<size_t>& connections, Millis limit)
    : loop_(loop), clock_(clock), log_(log), connections_(connections), limit_(limit) {}

ProxyGreetings::~ProxyGreetings() = default;

void ProxyGreetings::greet(int fd, std::string balancer, Then then) {
  greetings_.push_front(
      std::make_unique<Greeting>(*this, fd, std::move(balancer), std::move(then)));
  greetings_.front()->at = greetings_.begin();
}

void ProxyGreetings::close_all() {
  greetings_.clear();
}

void ProxyGreetings::drop(Greeting& greeting, const std::string& why) {
  log_.warning("proxy_header_refused",
               why + "; listen.proxy_protocol_from names balancers that send the PROXY protocol",
               {{"balancer", greeting.balancer()}});
  const std::unique_ptr<Greeting> last = std::move(*greeting.at);
  greetings_.erase(greeting.at);
}

}  // namespace latchkey::edge
