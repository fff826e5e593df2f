#pragma once
#include <string>

#include "tests/support/acme_user.h"
#include "tests/support/site.h"

namespace latchkey::test {

// The edge as a CA for machines, asked at this host. It believes whoever asks for *.internal.test.
struct AuthoritySite : Site {
  static constexpr const char* kHost = "ca.internal.test";
  static constexpr const char* kPath = "/acme/test";

  AuthoritySite() : Site(options()) {
    edge.settings.keys.emplace_back(
        "acme_server", JsonObject()
                           .raw("hosts", "[" + json_quote(kHost) + "]")
                           .raw("allow", R"(["*.internal.test"])")
                           .raw("validation", JsonObject().boolean("trusting", true).str())
                           .str());
  }

  // REQUIRES: it runs.
  AcmeUser::Server server() const {
    const std::string port = std::to_string(https.number());
    return {"https://" + std::string(kHost) + ":" + port + kPath + "/directory", kHost, roots()};
  }

 private:
  static Options options() {
    Options own;
    own.pebble = false;
    own.authority = true;
    return own;
  }
};

}  // namespace latchkey::test
