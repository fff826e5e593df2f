#pragma once
#include "tests/support/ask_server.h"
#include "tests/support/site.h"

namespace latchkey::test {

// A Site whose names are known to an ask endpoint only, which allows all until it is told
// otherwise.
struct AskSite : Site {
  AskSite() : AskSite(Options()) {}
  explicit AskSite(Options options) : Site(std::move(options)) {
    edge.settings.allow = {};
    edge.settings.ask = judge.url();
  }

  int alert_for(const std::string& name) { return connect(name).handshake().alert; }

  AskServer judge;
};

inline Site::Options without_pebble() {
  Site::Options options;
  options.pebble = false;
  return options;
}

// A CA that refuses every challenge: it looks for them where nobody listens.
inline Site::Options with_failing_challenges(const ReservedPort& nobody) {
  Site::Options options;
  options.pebble_http_port = options.pebble_tls_port = nobody.number();
  return options;
}

constexpr bool kSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#else
    false;
#endif

}  // namespace latchkey::test
