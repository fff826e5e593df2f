#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "acme/challenges.h"
#include "base/server_name.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// What the exchanges of port 80 share.
struct PlainSiteContext {
  acme::ChallengeTable& challenges;
  // Whether the name is, or would be, served over TLS. The answer comes once, from the loop or from
  // within the call, also when the exchange that asked has gone.
  std::function<void(const ServerName&, std::function<void(bool)>)> may_be_served;
  uint16_t https_port = 443;
  ServerNameRules rules = {};
};

// Port 80: answers HTTP-01, sends visitors of names that may be served to HTTPS, knows nothing
// else. A redirect goes to the very name that was asked for, and only after it was parsed.
class PlainSite final : public Exchange {
 public:
  PlainSite(PlainSiteContext& context, RequestHead head, ResponseStream& stream)
      : context_(context), head_(std::move(head)), stream_(stream) {}

  void start() override;
  void on_body(std::string_view) override {}
  void on_request_end(const HeaderList&) override {}
  void on_writable() override {}

 private:
  void answer_challenge(const ServerName& name, std::string_view token);
  void redirect_to(const ServerName& name);

  PlainSiteContext& context_;
  const RequestHead head_;
  ResponseStream& stream_;
  std::shared_ptr<PlainSite*> self_;  // for an answer that comes when we have gone
};

}  // namespace latchkey::edge
