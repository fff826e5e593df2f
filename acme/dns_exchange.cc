#include "acme/dns_exchange.h"

#include <array>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/dns_message.h"
#include "base/pending.h"
#include "base/uv.h"

namespace latchkey::acme {
namespace {

Error failed(const std::string& doing, int status) {
  return {ErrorCode::kIo, doing + ": " + uv_strerror(status)};
}

// What libuv may use until it is closed: the handle first, so that UvPtr can own the whole.
struct Connection {
  uv_tcp_t tcp;
  uv_connect_t connect;
};

class Exchange {
 public:
  Exchange(uv_loop_t& loop, std::string message) : sent_(std::move(message)) {
    CHECK(uv_tcp_init(&loop, &connection_->tcp) == 0);
    connection_->tcp.data = this;
  }
  Exchange(const Exchange&) = delete;

  // May resolve at once.
  void begin(const sockaddr_storage& server) {
    const int status = uv_tcp_connect(&connection_->connect, &connection_->tcp,
                                      reinterpret_cast<const sockaddr*>(&server), &on_connect);
    if (status != 0) answer.resolve(failed("connecting", status));
  }

  Pending<std::string> answer;

 private:
  static Exchange& of(uv_stream_t* stream) { return *static_cast<Exchange*>(stream->data); }

  static void on_connect(uv_connect_t* request, int status) {
    if (status == UV_ECANCELED) return;  // the exchange is gone
    Exchange& self = of(request->handle);
    if (status != 0) return self.answer.resolve(failed("connecting", status));
    self.send();
  }
  void send() {
    auto* stream = reinterpret_cast<uv_stream_t*>(&connection_->tcp);
    int status = uv_read_start(stream, &on_space, &on_read);
    // Nothing of it has to stay for libuv, and a fresh connection takes a few hundred bytes at
    // once.
    std::string framed;
    dns_put16(framed, static_cast<uint16_t>(sent_.size()));
    framed += sent_;
    const uv_buf_t buffer = uv_buf_init(framed.data(), static_cast<unsigned>(framed.size()));
    if (status == 0) status = uv_try_write(stream, &buffer, 1);
    if (status < 0) return answer.resolve(failed("sending", status));
    if (static_cast<size_t>(status) != framed.size()) {
      answer.resolve(Error{ErrorCode::kIo, "sending: the connection takes too little at once"});
    }
  }
  static void on_space(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
    Exchange& self = of(reinterpret_cast<uv_stream_t*>(handle));
    *buffer = uv_buf_init(self.space_.data(), static_cast<unsigned>(self.space_.size()));
  }
  static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t*) { of(stream).read(size); }
  void read(ssize_t size) {
    if (size < 0) {
      uv_read_stop(reinterpret_cast<uv_stream_t*>(&connection_->tcp));
      answer.resolve(size == UV_EOF
                         ? Error{ErrorCode::kIo, "it closed the connection without an answer"}
                         : failed("reading the answer", static_cast<int>(size)));
      return;
    }
    received_.append(space_.data(), static_cast<size_t>(size));
    if (received_.size() < 2) return;
    const size_t length = static_cast<size_t>(static_cast<uint8_t>(received_[0])) << 8 |
                          static_cast<uint8_t>(received_[1]);
    if (received_.size() < 2 + length) return;
    uv_read_stop(reinterpret_cast<uv_stream_t*>(&connection_->tcp));
    answer.resolve(received_.substr(2, length));
  }

  const std::string sent_;
  std::string received_;  // <= 64 KiB and one read
  std::array<char, 4096> space_;
  UvPtr<Connection> connection_{new Connection};
};

}  // namespace

Result<sockaddr_storage> dns_server_address(const std::string& server) {
  const size_t colon = server.rfind(':');
  std::string host = server.substr(0, colon);
  const std::string port = colon == std::string::npos ? "" : server.substr(colon + 1);
  unsigned number = 0;
  const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool good_port = !port.empty() && read.ec == std::errc() &&
                         read.ptr == port.data() + port.size() && number >= 1 && number <= 65535;
  sockaddr_storage address{};
  bool good = false;
  if (good_port && host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    good = uv_ip6_addr(host.c_str(), static_cast<int>(number),
                       reinterpret_cast<sockaddr_in6*>(&address)) == 0;
  } else if (good_port) {
    good = uv_ip4_addr(host.c_str(), static_cast<int>(number),
                       reinterpret_cast<sockaddr_in*>(&address)) == 0;
  }
  if (good) return address;
  return Error{ErrorCode::kInvalid,
               "expected a name server's address and port, like \"192.0.2.1:53\" or "
               "\"[2001:db8::1]:53\", got \"" +
                   server + "\""};
}

Task<std::string> dns_exchange(uv_loop_t& loop, sockaddr_storage server, std::string message) {
  CHECK(message.size() <= 0xffff);
  Exchange exchange(loop, std::move(message));
  exchange.begin(server);
  Result<std::string> answer = co_await exchange.answer;
  co_return answer;
}

}  // namespace latchkey::acme
