#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "acme/challenges.h"
#include "base/server_name.h"
#include "edge/acme_door.h"
#include "edge/http/stream.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

// What the exchanges of port 80 share.
struct PlainSiteContext {
  acme::ChallengeTable& challenges;
  // What is to be done for the name (an IP address, too). The answer comes once, from the loop or
  // from within the call, also when the exchange that asked has gone.
  std::function<void(const ServerName&, std::function<void(NameState)>)> may_be_served;
  // Serves a request as one that came by TLS would be.
  Serve proxy = {};
  // Passes HTTP-01 requests for tokens that are not ours to the operator's other ACME client,
  // whatever host they are for; null: they are answered 404.
  Serve other_challenges = {};
  // Hosts of an embedded authority, and what answers questions about revocation there; null: none.
  std::shared_ptr<const AcmeDoor> authority = {};
  Serve about_revocation = {};
  uint16_t https_port = 443;
  ServerNameRules rules = {};
};

// Port 80: answers HTTP-01 or passes it on, sends visitors of names that may be served to HTTPS,
// serves those whose certificate is lost for now where the operator wants that, answers for an
// embedded authority what must not need HTTPS, knows nothing else.
// A redirect goes to the very name that was asked for, and only after it was parsed.
class PlainSite final : public Exchange {
 public:
  PlainSite(PlainSiteContext& context, RequestHead head, ResponseStream& stream)
      : context_(context), head_(std::move(head)), stream_(stream) {}

  void start() override;
  void on_body(std::string_view bytes) override;
  void on_request_end(const HeaderList& trailers) override;
  void on_writable() override;

 private:
  void answer(NameState state, const ServerName& name);
  void handle_challenge(const Result<ServerName>& name);
  // False: it is no token of ours.
  bool answer_challenge(const ServerName& name, std::string_view token);
  void redirect_to(const ServerName& name);
  void proxy(const Serve& to);

  PlainSiteContext& context_;
  RequestHead head_;
  ResponseStream& stream_;
  std::unique_ptr<Exchange> proxied_;  // what the request went to; it has head_ then
  // Of the request, while it is not known where it goes: <= 64 KiB and one read.
  std::string kept_;
  HeaderList trailers_;
  bool ended_ = false;
  std::shared_ptr<PlainSite*> self_;  // for an answer that comes when we have gone
};

}  // namespace latchkey::edge
