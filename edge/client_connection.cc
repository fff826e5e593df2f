#include "edge/client_connection.h"

#include <openssl/ssl.h>

#include "edge/hello.h"
#include "edge/http/session.h"
#include "edge/pages.h"

namespace latchkey::edge {
ClientConnection::ClientConnection(const Context& context, int fd, std::string peer)
    : context_(context),
      place_in_(context.shared.connections),
      peer_(std::move(peer)),
      clients_(context.tls->clients()),
      tls_(context.loop, fd, *context.tls, *this, context.ahead, context.gather) {
  context_.shared.counts.accepted.add();
  tls_.set_events(this);
  deadline_ = context_.clock.after(context_.shared.hello_timeout, [this] {
    context_.shared.counts.hello_timeouts.add();
    context_.shared.counts.failed.add();
    close();
  });
  tls_.want(true, false);
}

ClientConnection::~ClientConnection() {
  if (parked_) parking().leave(*server_name_, *visit_);
}

void ClientConnection::drain() {
  if (http_ != nullptr) {
    http_->drain();
  } else if (!parked_) {
    close();
  }
}

// Handshakes go on: HTTP on them begins in a draining worker.
void ClientConnection::drain_gently() {
  if (http_ != nullptr) http_->drain_gently();
}

void ClientConnection::close() {
  if (buried_) return;
  deadline_.reset();
  tls_.set_events(nullptr);
  tls_.watch_hangup(false);
  context_.bury(*this);
}

void ClientConnection::go_on() {
  switch (tls_.handshake()) {
    case TlsSession::Step::kWaiting:
      return;
    case TlsSession::Step::kParked:
      tls_.watch_hangup(true);
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
      if (asked_ && was_refused(tls_.ssl())) {
        context_.shared.counts.refused_clients.add();
      }
      close();
      return;
  }
}

// While it was parked.
void ClientConnection::on_hangup() {
  context_.shared.counts.failed.add();
  close();
}

bool ClientConnection::take_identity() {
  if (!asked_) return true;
  identity_ = client_identity(tls_.ssl());
  // A session that goes on was verified when it began.
  const bool ended = identity_ != nullptr && identity_->not_after <= context_.clock.wall_now();
  const bool good = identity_ != nullptr ? !ended : !clients_->required();
  if (!good) refuse_expired(tls_.ssl());
  HandshakeCounts& counts = context_.shared.counts;
  if (!good) counts.refused_clients.add();
  if (identity_ != nullptr && good) counts.verified_clients.add();
  return good;
}

void ClientConnection::established() {
  if (challenge_) {  // RFC 8737, 3: the CA has seen what it wanted; nothing follows
    context_.shared.counts.challenges.add();
    tls_.finish_writing();
    close();
    return;
  }
  if (!take_identity()) {
    context_.shared.counts.failed.add();
    return close();
  }
  HandshakeCounts& counts = context_.shared.counts;
  (notice_ ? counts.parking_pages : counts.served).add();
  if (!notice_ && certificate_->expired_at(context_.clock.wall_now())) counts.served_expired.add();
  if (!notice_ && slot_ == Slot::kRsa) counts.served_rsa.add();
  // A session that goes on shows neither certificate nor staple.
  if (stapled_ && !SSL_session_reused(&tls_.ssl())) counts.stapled.add();
  if (!server_name_) (by_address_ ? counts.address_certificate : counts.default_certificate).add();
  deadline_.reset();
  outcome_.reset();
  visit_.reset();
  tls_.set_events(nullptr);
  http_ = context_.start_http(tls_, *this);
}

bool ClientConnection::speaks_http2() {
  const uint8_t* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(&tls_.ssl(), &protocol, &size);
  return std::string_view(reinterpret_cast<const char*>(protocol), size) == "h2";
}

const char* ClientConnection::tls_version() {
  return SSL_get_version(&tls_.ssl());
}

HelloHandler::Answer ClientConnection::on_client_hello(const ssl_early_callback_ctx& raw) {
  if (outcome_) return go_on_after_parking(raw.ssl);
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
  // Before anything is ordered for who cannot be served.
  if (hello.version < SSL_get_min_proto_version(raw.ssl)) return refuse(SSL_AD_PROTOCOL_VERSION);
  slot_ = hello.slot();
  wants_staple_ = hello.wants_staple;
  if (!hello.has_server_name) return greet_without_name(raw.ssl);
  if (!hello.server_name) return refuse(SSL_AD_UNRECOGNIZED_NAME);

  server_name_ = hello.server_name;
  bind_session_to(raw.ssl, *server_name_, ask_client(*raw.ssl, server_name_->text()));
  CacheHit cached = look_up(*server_name_);
  if (is_missing(cached)) return park();
  // Only the operator's own is served after its end; the next visit is to see a fresh one.
  if (cached.configured && cached.certificate->expired_at(context_.clock.wall_now())) {
    allow_no_session(raw.ssl);
  }
  grant_ = std::move(cached.grant);
  return serve(std::move(cached.certificate));
}

std::string_view ClientConnection::ask_client(ssl_st& ssl, std::string_view host) {
  if (clients_ == nullptr || !clients_->asks(host)) return {};
  asked_ = true;
  clients_->ask(ssl);
  return clients_->id();
}

bool ClientConnection::covers(std::string_view host) const {
  return certificate_->covers_host(host) && may_carry(host);
}

bool ClientConnection::may_carry(std::string_view host) const {
  const ClientCertificates* const now = context_.tls->clients().get();
  if (now == nullptr || !now->asks(host)) return true;
  return asked_ && clients_->id() == now->id();
}

ClientProof ClientConnection::proof_of(std::string_view host) const {
  const ClientCertificates* const now = context_.tls->clients().get();
  if (now == nullptr || !now->asks(host) || !may_carry(host)) return {};
  return {true, identity_};
}

// The operator's default, or what there is for the address that the client came to. Never an order,
// never the ask: nobody said for what name.
HelloHandler::Answer ClientConnection::greet_without_name(ssl_st* ssl) {
  const Fallback* const fallback = context_.fallback.get();
  if (fallback != nullptr && fallback->no_sni != nullptr) {
    bind_session_to_nobody(ssl, ask_client(*ssl, ""));
    return serve(fallback->no_sni);
  }
  const auto address = ServerName::parse_ip(tls_.local_address());
  if (!address) return refuse(SSL_AD_UNRECOGNIZED_NAME);
  CacheHit cached = look_up(*address);
  if (is_missing(cached) || !cached.exact) return refuse(SSL_AD_UNRECOGNIZED_NAME);
  bind_session_to(ssl, *address, ask_client(*ssl, address->text()));
  by_address_ = true;
  return serve(std::move(cached.certificate));
}

HelloHandler::Answer ClientConnection::park() {
  HandshakeCounts& counts = context_.shared.counts;
  if (visit_ == nullptr) visit_ = std::make_unique<Visit>(*this);
  const auto full = parking().park(*server_name_, SourcePrefix::of(peer_), *visit_);
  if (!full) {
    counts.parked.add();
    parked_ = true;
    return Answer::kPark;
  }
  counts.park_overflows.add();
  switch (*full) {
    case ParkingBounds::Bound::kTotal:
      counts.overflows_total.add();
      break;
    case ParkingBounds::Bound::kPerName:
      counts.overflows_name.add();
      break;
    case ParkingBounds::Bound::kPerPrefix:
      counts.overflows_prefix.add();
      break;
  }
  return refuse(SSL_AD_INTERNAL_ERROR);
}

HelloHandler::Answer ClientConnection::go_on_after_parking(ssl_st* ssl) {
  if (*outcome_) {
    // The outcome is only the certificate; who obtained it has left what belongs to it in the cache
    // (a very small one may have lost it by now: then the routes alone decide).
    grant_ = look_up(*server_name_).grant;
    // The next visit is to see what is fresh by then.
    const Certificate& outcome = ***outcome_;
    if (outcome.expired_at(context_.clock.wall_now()) || is_self_signed(outcome)) {
      allow_no_session(ssl);
    }
    return serve(**outcome_);
  }
  const Error& why = outcome_->error();
  const Fallback* const fallback = context_.fallback.get();
  if (fallback != nullptr && fallback->parking != nullptr) {
    notice_ = std::make_unique<const Notice>(parking_notice(why));
    allow_no_session(ssl);
    return serve(fallback->parking);
  }
  return refuse(why.code == ErrorCode::kDenied ? SSL_AD_UNRECOGNIZED_NAME : SSL_AD_INTERNAL_ERROR);
}

// Without twins everybody gets the same certificate, of use to him or not.
Parking& ClientConnection::parking() const {
  const bool twin = slot_ == Slot::kRsa && context_.shared.rsa_twins;
  return twin ? context_.rsa_parking : context_.parking;
}

CacheHit ClientConnection::look_up(const ServerName& name) const {
  const WorkerShared& shared = context_.shared;
  const WallTime now = context_.clock.wall_now();
  CacheHit hit = edge::look_up(shared, name, now, slot_);
  if (slot_ == Slot::kMain || hit.certificate != nullptr) return hit;
  hit = edge::look_up(shared, name, now, Slot::kMain);
  // For what the operator has configured no twin is ordered.
  if (shared.rsa_twins && !hit.configured) hit.certificate = nullptr;
  return hit;
}

bool ClientConnection::is_missing(const CacheHit& hit) const {
  return hit.certificate == nullptr ||
         (!hit.configured && hit.certificate->expired_at(context_.clock.wall_now()));
}

GrantPtr ClientConnection::grant_of(std::string_view host) const {
  if (server_name_ && host == server_name_->text()) {
    const CacheHit hit = look_up(*server_name_);
    return hit.exact ? hit.grant : grant_;
  }
  const auto name = ServerName::parse(host, {.underscore = context_.shared.underscore_names});
  return name ? look_up(*name).grant : nullptr;
}

HelloHandler::Answer ClientConnection::serve(CertificatePtr certificate) {
  const auto& chain = certificate->chain();
  if (!SSL_set_chain_and_key(&tls_.ssl(), chain.data(), chain.size(), certificate->key().get(),
                             nullptr)) {
    return refuse(SSL_AD_INTERNAL_ERROR);
  }
  stapled_ = wants_staple_ && staple(&tls_.ssl(), *certificate, context_.clock.wall_now());
  certificate_ = std::move(certificate);
  return Answer::kServe;
}

HelloHandler::Answer ClientConnection::refuse(int alert) {
  HandshakeCounts& counts = context_.shared.counts;
  (alert == SSL_AD_UNRECOGNIZED_NAME  ? counts.refused_name
   : alert == SSL_AD_PROTOCOL_VERSION ? counts.refused_version
                                      : counts.refused_temporary)
      .add();
  alert_ = alert;
  return Answer::kRefuse;
}

void ClientConnection::unpark() {
  parking().leave(*server_name_, *visit_);
  parked_ = false;
}

void ClientConnection::resume(const Result<CertificatePtr>& outcome) {
  parked_ = false;
  if (buried_) return;
  outcome_ = std::make_unique<const Result<CertificatePtr>>(outcome);
  tls_.watch_hangup(false);
  deadline_ = context_.clock.after(context_.shared.hello_timeout, [this] {
    context_.shared.counts.hello_timeouts.add();
    context_.shared.counts.failed.add();
    close();
  });
  go_on();
}

}  // namespace latchkey::edge
