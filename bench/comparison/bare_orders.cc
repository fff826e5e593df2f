#include "bench/comparison/bare_orders.h"

#include "bench/comparison/started.h"

namespace latchkey::bench {

BareOrders::BareOrders(const std::filesystem::path& folder)
    : pebble_(folder, ca_options()),
      http_(loop_.uv(), http_options()),
      issuer_(issuer_options(), http_, loop_.clock(), store_, challenges_, log_) {}

Result<double> BareOrders::measure(const std::string& text) {
  auto name = ServerName::parse(text);
  if (!name) return name.error();
  const Timer timer;
  tasks_.spawn(order(*std::move(name)));
  loop_.run();
  if (!outcome_) return Error(outcome_.error()).in("a bare order");
  return timer.ms();
}

test::Pebble::Options BareOrders::ca_options() const {
  test::Pebble::Options options;
  options.tls_port = port_.number();
  options.http_port = nowhere_.number();
  options.sleeps = false;
  return options;
}

acme::IssuerOptions BareOrders::issuer_options() const {
  acme::IssuerOptions options;
  options.name = "bare";
  options.directory = pebble_.directory();
  options.accept_terms = true;
  options.challenges = {acme::ChallengeType::kTlsAlpn01};
  return options;
}

CurlHttpClient::Options BareOrders::http_options() const {
  CurlHttpClient::Options options;
  options.ca_file = pebble_.ca_file().string();
  return options;
}

Task<> BareOrders::order(ServerName name) {
  const Result<CertificatePtr> certificate = co_await issuer_.obtain(name).result();
  outcome_ = certificate ? Result<>(Unit{}) : certificate.error();
  loop_.stop();
  co_return Unit{};
}

}  // namespace latchkey::bench
