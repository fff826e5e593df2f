#include "edge/upstream/connector.h"

#include <utility>

namespace latchkey::edge {

Connector::Connector(uv_loop_t& loop, Clock& clock, EndpointPtr endpoint, std::string greeting,
                     Millis limit, Done done)
    : clock_(clock),
      endpoint_(std::move(endpoint)),
      greeting_(std::move(greeting)),
      done_(std::move(done)) {
  if (endpoint_->tls != nullptr && !endpoint_->tls->trouble().empty()) {
    limit_ = clock_.after(Millis(0), [this] {
      report(Error{ErrorCode::kIo, endpoint_->text() + ": TLS: " + endpoint_->tls->trouble()});
    });
    return;
  }
  limit_ = clock_.after(limit, [this, limit] {
    const char* doing = tls_ == nullptr ? "connecting to " : "TLS with ";
    report(Error{ErrorCode::kTimeout, doing + endpoint_->text() + " took over " +
                                          std::to_string(limit.count()) + " ms"});
  });
  dial_ = std::make_unique<Dial>(
      loop, endpoint_->address, endpoint_->port,
      [this](Result<std::unique_ptr<PlainSocket>> socket) { on_dial(std::move(socket)); });
}

void Connector::on_dial(Result<std::unique_ptr<PlainSocket>> socket) {
  const auto dial = std::move(dial_);
  if (!socket) return report(std::move(socket).error());
  std::unique_ptr<Transport> transport = *std::move(socket);
  if (!greeting_.empty() && transport->write(greeting_).bytes != greeting_.size()) {
    return report(Error{ErrorCode::kIo, endpoint_->text() + ": the connection broke at once"});
  }
  if (endpoint_->tls == nullptr) {
    return report(Connected{std::move(transport), endpoint_->http2});
  }
  ssl_st* const ssl = endpoint_->tls->make_ssl(endpoint_->server_name, endpoint_->http2);
  if (ssl == nullptr) {
    return report(Error{ErrorCode::kIo, endpoint_->text() + ": TLS cannot name this host"});
  }
  tls_ = std::make_unique<ClientTlsSocket>(std::move(transport), clock_, *ssl);
  tls_->handshake([this](const std::string& why) {
    if (!why.empty()) return report(Error{ErrorCode::kIo, endpoint_->text() + ": " + why});
    const bool http2 = tls_->speaks_http2();
    report(Connected{std::move(tls_), http2});
  });
}

void Connector::report(Result<Connected> result) {
  limit_.reset();
  const Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace latchkey::edge
