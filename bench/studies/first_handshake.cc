// What the edge adds to the CA's own time: the first handshake of a new name through it, beside a
// bare order at a CA of the same kind, in turns. Pebble validates, but does not sleep before.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "acme/issuer.h"
#include "base/curl_http_client.h"
#include "base/loop.h"
#include "base/task_set.h"
#include "bench/studies/tls_alpn_responder.h"
#include "tests/support/fake_store.h"
#include "tests/support/site.h"

namespace latchkey::bench {
namespace {

using test::Pebble;
using test::ReservedPort;
using test::Site;

constexpr int kWarmUps = 3;
constexpr double kAim = 20;  // ms that the edge may add, at the median

class Timer {
 public:
  double ms() const {
    const auto passed = std::chrono::steady_clock::now() - start_;
    return std::chrono::duration<double, std::milli>(passed).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

void print(const char* what, const std::vector<double>& values) {
  std::printf("%-42s %7.1f ms   (10%%: %.1f, 90%%: %.1f, slowest %.1f)\n", what,
              quantile(values, 0.5), quantile(values, 0.1), quantile(values, 0.9),
              quantile(values, 1));
}

// The ACME client alone, on a loop of its own, with a responder that does nothing else.
class BareOrders {
 public:
  explicit BareOrders(const std::filesystem::path& folder) : pebble_(folder, ca_options()) {}

  double measure(const std::string& text) {
    const auto name = ServerName::parse(text);
    CHECK(name);
    const Timer timer;
    tasks_.spawn(order(*name));
    loop_.run();
    return timer.ms();
  }

 private:
  Pebble::Options ca_options() const {
    Pebble::Options options;
    options.tls_port = port_.number();
    options.http_port = nowhere_.number();
    options.sleeps = false;
    return options;
  }
  acme::IssuerOptions issuer_options() const {
    acme::IssuerOptions options;
    options.name = "bare";
    options.directory = pebble_.directory();
    options.accept_terms = true;
    options.challenges = {acme::ChallengeType::kTlsAlpn01};
    return options;
  }
  CurlHttpClient::Options http_options() const {
    CurlHttpClient::Options options;
    options.ca_file = pebble_.ca_file().string();
    return options;
  }
  Task<> order(ServerName name) {
    Result<CertificatePtr> certificate = co_await issuer_.obtain(name).result();
    if (!certificate) {
      std::fprintf(stderr, "a bare order failed: %s\n", certificate.error().message.c_str());
      std::exit(1);
    }
    loop_.stop();
    co_return Unit{};
  }

  const ReservedPort port_, nowhere_;
  Pebble pebble_;
  Loop loop_;
  Log log_{2, Log::Format::kText, LogLevel::kError};
  FakeStore store_;
  acme::ChallengeTable challenges_;
  TlsAlpnResponder responder_{challenges_, port_.number()};
  CurlHttpClient http_{loop_.uv(), http_options()};
  acme::AcmeIssuer issuer_{issuer_options(), http_, loop_.clock(), store_, challenges_, log_};
  TaskSet tasks_;
};

double first_handshake(Site& site, const std::string& name) {
  const test::TlsOptions options = site.tls(name);
  const Timer timer;
  const test::TlsClient client(options);
  const double ms = timer.ms();
  if (!client.handshake().verified) {
    std::fprintf(stderr, "a first handshake failed: %s\n", client.handshake().error.c_str());
    std::exit(1);
  }
  return ms;
}

int run(int names) {
  setenv("LATCHKEY_NO_PUBLIC_CA", "1", 1);
  signal(SIGPIPE, SIG_IGN);
  Site site;
  site.edge.settings.challenges = {"tls-alpn-01"};
  site.edge.settings.log_level = "info";
  if (!site.edge.start()) return 1;
  BareOrders bare(site.folder / "bare");

  std::vector<double> orders, handshakes, added;
  for (int i = -kWarmUps; i < names; ++i) {
    const std::string label = i < 0 ? "w" + std::to_string(-i) : "n" + std::to_string(i);
    const double order = bare.measure(label + ".bare.test");
    const double handshake = first_handshake(site, label + ".edge.test");
    if (i < 0) continue;
    orders.push_back(order);
    handshakes.push_back(handshake);
    added.push_back(handshake - order);
  }
  std::printf("%d names, tls-alpn-01, Pebble without sleeps\n", names);
  print("a bare order", orders);
  print("the first handshake through the edge", handshakes);
  print("the difference, name by name", added);
  const double difference = quantile(handshakes, 0.5) - quantile(orders, 0.5);
  std::printf("difference of the medians: %.1f ms (aim: at most %.0f ms)\n", difference, kAim);
  return 0;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int names = argc > 1 ? std::atoi(argv[1]) : 50;
  if (names < 1) {
    std::fprintf(stderr, "usage: %s [NAMES]\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(names);
}
