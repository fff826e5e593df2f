// How a TlsConnection begins: the socket, and the ClientHello.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <cerrno>
#include <string>

#include "base/check.h"
#include "bench/load/tls_connection.h"

namespace latchkey::bench {
namespace {

sockaddr_in source_address(uint32_t index) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  // 127.0.0.1, 127.0.1.1, ...: each in a /24 of its own as long as there are any, since servers
  // limit what one network may do.
  const uint32_t host = (index % 65536) << 8 | (index / 65536 % 254 + 1);
  address.sin_addr.s_addr = htonl((127u << 24) + host);
  return address;
}

}  // namespace

void TlsConnection::open(std::string_view name, SSL_SESSION* session) {
  CHECK(closed());
  if (shared_.client_.settings().plain) return open_tcp();
  if (!make_socket(EPOLLIN)) return;
  state_ = State::kHandshake;
  begin_tls(name, session);
  flush();
}

void TlsConnection::open_tcp() {
  CHECK(closed());
  watches_writable_ = make_socket(EPOLLIN | EPOLLOUT);
}

void TlsConnection::make_hello(std::string_view name, SSL_SESSION* session) {
  CHECK(tcp_open() && ssl_ == nullptr);
  begin_tls(name, session);
  unsent_.assign(shared_.gathered_);
  shared_.gathered_.clear();
  shared_.gathers_ = nullptr;
}

void TlsConnection::send_hello() {
  CHECK(tcp_open() && ssl_ != nullptr);
  state_ = State::kHandshake;
  set_deadline();
  send_unsent();
  if (unsent() != 0) watch_writable(true);
}

bool TlsConnection::make_socket(uint32_t events) {
  const TlsClient& client = shared_.client_;
  const Endpoint& target = client.target();
  ++opens_;
  in_ = out_ = 0;
  opened_ = hello_ = Engine::now();
  state_ = State::kConnecting;
  set_deadline();
  fd_ = socket(target.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return fail_later(errno), false;
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (client.settings().sources > 1) {
    // Ports are chosen by connect(), so that each source has all of them for each target.
    setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in source = source_address(shared_.sockets_++ % client.settings().sources);
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
      return fail_later(errno), false;
    }
  }
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  if (connect(fd_, address, target.address_size) != 0 && errno != EINPROGRESS) {
    return fail_later(errno), false;
  }
  shared_.engine_.watch(fd_, *this, events);
  return true;
}

void TlsConnection::begin_tls(std::string_view name, SSL_SESSION* session) {
  ssl_ = SSL_new(&shared_.client_.context());
  CHECK(ssl_ != nullptr);
  SSL_set_app_data(ssl_, this);
  SSL_set_connect_state(ssl_);
  BIO_up_ref(bio_);
  BIO_up_ref(bio_);
  SSL_set0_rbio(ssl_, bio_);
  SSL_set0_wbio(ssl_, bio_);
  if (!name.empty()) {
    const std::string text(name);
    SSL_set_tlsext_host_name(ssl_, text.c_str());
    if (!shared_.client_.settings().ca_file.empty()) SSL_set1_host(ssl_, text.c_str());
  }
  if (session != nullptr) SSL_set_session(ssl_, session);
  // Before the socket is connected this is no waste: on loopback it is by now, and elsewhere the
  // hello waits in unsent_.
  SSL_do_handshake(ssl_);
}

}  // namespace latchkey::bench
