#pragma once
#include <filesystem>
#include <string>

#include "acme/issuer.h"
#include "base/curl_http_client.h"
#include "base/loop.h"
#include "base/task_set.h"
#include "bench/comparison/tls_alpn_responder.h"
#include "tests/support/fake_store.h"
#include "tests/support/pebble.h"
#include "tests/support/ports.h"

namespace latchkey::bench {

// The CA's own time: our ACME client alone, on a loop of its own, at a Pebble of its own, with a
// responder that does nothing else.
class BareOrders {
 public:
  explicit BareOrders(const std::filesystem::path& folder);

  // ms from newOrder to the certificate. Errors: the order failed.
  Result<double> measure(const std::string& name);

 private:
  test::Pebble::Options ca_options() const;
  acme::IssuerOptions issuer_options() const;
  CurlHttpClient::Options http_options() const;
  Task<> order(ServerName name);

  const test::ReservedPort port_, nowhere_;
  test::Pebble pebble_;
  Loop loop_;
  Log log_{2, Log::Format::kText, LogLevel::kError};
  FakeStore store_;
  acme::ChallengeTable challenges_;
  TlsAlpnResponder responder_{challenges_, port_.number()};
  CurlHttpClient http_;
  acme::AcmeIssuer issuer_;
  Result<> outcome_ = Unit{};
  TaskSet tasks_;
};

}  // namespace latchkey::bench
