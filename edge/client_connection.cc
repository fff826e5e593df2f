#include "edge/client_connection.h"

#include <openssl/ssl.h>

#include "edge/hello.h"
#include "edge/http/http1_session.h"

namespace latchkey::edge {

ClientConnection::ClientConnection(const Context& context, int fd, std::string peer)
    : context_(context),
      place_in_(context.shared.connections),
      peer_(std::move(peer)),
      tls_(context.loop, context.clock, fd, context.shared.tls, *this, context.gather) {
  context_.shared.counts.accepted.add();
  tls_.set_events(this);
  deadline_ = context_.clock.after(context_.shared.hello_timeout, [this] {
    context_.shared.counts.failed.add();
    close();
  });
  tls_.want(true, false);
}

ClientConnection::~ClientConnection() {
  if (parked_) context_.parking.leave(*server_name_, *this);
}

void ClientConnection::drain() {
  if (http_ != nullptr) {
    http_->drain();
  } else if (!parked_) {
    close();
  }
}

void ClientConnection::close() {
  if (buried_) return;
  deadline_.reset();
  tls_.set_events(nullptr);
  tls_.watch_hangup(nullptr);
  context_.bury(*this);
}

void ClientConnection::go_on() {
  switch (tls_.handshake()) {
    case TlsSession::Step::kWaiting:
      return;
    case TlsSession::Step::kParked:
      tls_.watch_hangup([this] {
        context_.shared.counts.failed.add();
        close();
      });
      deadline_ = context_.clock.after(context_.shared.park_timeout, [this] {
        context_.shared.counts.park_timeouts.add();
        Error late{ErrorCode::kTimeout, "the certificate took longer than park_timeout"};
        unpark();
        resume(late);
      });
      return;
    case TlsSession::Step::kDone:
      established();
      return;
    case TlsSession::Step::kFailed:
      if (alert_ == 0) context_.shared.counts.failed.add();
      close();
      return;
  }
}

void ClientConnection::established() {
  if (challenge_) {  // RFC 8737, 3: the CA has seen what it wanted; nothing follows
    context_.shared.counts.challenges.add();
    tls_.finish_writing();
    close();
    return;
  }
  context_.shared.counts.served.add();
  deadline_.reset();
  outcome_.reset();
  tls_.set_events(nullptr);
  http_ = context_.start_http(tls_, *this);
}

HelloHandler::Answer ClientConnection::on_client_hello(const ssl_early_callback_ctx& raw) {
  if (outcome_) {  // a parked handshake goes on
    return *outcome_ ? serve(**outcome_) : refuse_by(outcome_->error());
  }
  const WorkerShared& shared = context_.shared;
  const Hello hello = read_hello(raw, {.underscore = shared.underscore_names});
  if (hello.wants_challenge) {
    // Before everything else, and against pending challenges only: a stranger's costs no I/O.
    CertificatePtr answer = hello.only_challenge && hello.server_name
                                ? shared.challenges.find_tls_alpn(*hello.server_name)
                                : nullptr;
    if (answer == nullptr) return refuse(SSL_AD_UNRECOGNIZED_NAME);
    challenge_ = true;
    return serve(std::move(answer));
  }
  if (!hello.server_name) return refuse(SSL_AD_UNRECOGNIZED_NAME);

  server_name_ = hello.server_name;
  bind_session_to(raw.ssl, *server_name_);
  CertificatePtr cached = shared.cache.find(*server_name_);
  if (cached != nullptr && !cached->expired_at(context_.clock.wall_now())) {
    return serve(std::move(cached));
  }

  if (!context_.parking.park(*server_name_, *this)) {
    shared.counts.park_overflows.add();
    return refuse(SSL_AD_INTERNAL_ERROR);
  }
  shared.counts.parked.add();
  parked_ = true;
  return Answer::kPark;
}

HelloHandler::Answer ClientConnection::serve(CertificatePtr certificate) {
  const auto& chain = certificate->chain();
  if (!SSL_set_chain_and_key(&tls_.ssl(), chain.data(), chain.size(), certificate->key().get(),
                             nullptr)) {
    return refuse(SSL_AD_INTERNAL_ERROR);
  }
  certificate_ = std::move(certificate);
  return Answer::kServe;
}

HelloHandler::Answer ClientConnection::refuse(int alert) {
  HandshakeCounts& counts = context_.shared.counts;
  (alert == SSL_AD_UNRECOGNIZED_NAME ? counts.refused_name : counts.refused_temporary).add();
  alert_ = alert;
  return Answer::kRefuse;
}

HelloHandler::Answer ClientConnection::refuse_by(const Error& why) {
  return refuse(why.code == ErrorCode::kDenied ? SSL_AD_UNRECOGNIZED_NAME : SSL_AD_INTERNAL_ERROR);
}

void ClientConnection::unpark() {
  context_.parking.leave(*server_name_, *this);
  parked_ = false;
}

void ClientConnection::resume(const Result<CertificatePtr>& outcome) {
  parked_ = false;
  if (buried_) return;
  outcome_ = outcome;
  tls_.watch_hangup(nullptr);
  deadline_ = context_.clock.after(context_.shared.hello_timeout, [this] {
    context_.shared.counts.failed.add();
    close();
  });
  go_on();
}

}  // namespace latchkey::edge
