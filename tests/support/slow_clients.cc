#include "tests/support/slow_clients.h"

#include <string>

#include "tests/support/http2_wire.h"

namespace latchkey::test {

struct SlowClients::Client {
  explicit Client(const TlsOptions& options) : connection(options) {}
  TlsClient connection;
  std::string drip = "x";
};

SlowClients::SlowClients(const TlsOptions& options, size_t count) {
  const http2::Fields upload{
      {":method", "POST"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/slow"}};
  TlsOptions own = options;
  for (size_t i = 0; i < count; ++i) {
    const bool h2 = i % 3 == 2;
    own.alpn = {h2 ? "h2" : "http/1.1"};
    Client& client = clients_.emplace_back(own);
    if (!client.connection.handshake().done) continue;
    ++connected_;
    if (h2) {
      client.drip = http2::frame(http2::kData, 0, 1, "x");
      client.connection.write(http2::greeting() + http2::frame(http2::kHeaders, http2::kEndHeaders,
                                                               1, http2::block(upload)));
    } else if (i % 3 == 1) {
      client.connection.write(
          "POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n");
    } else {
      client.connection.write("GET /slow HTTP/1.1\r\nHost: a.test\r\nX: ");
    }
  }
  thread_ = std::thread([this] { run(); });
}

SlowClients::~SlowClients() {
  stopping_ = true;
  thread_.join();
}

void SlowClients::run() {
  while (!stopping_) {
    for (auto& client : clients_) {
      client.connection.write(client.drip);
      if (stopping_) return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace latchkey::test
