#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "acme/authority/server.h"
#include "base/http_client.h"
#include "base/mailbox.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// How workers bring requests for the hosts of an embedded authority to the control thread. Shared
// by all threads; what is not atomic is constant.
struct AcmeDoor {
  using Done = std::function<void(HttpReply)>;

  static constexpr size_t kMaxWaiting = 1000;  // requests, each with a body of <= kMaxBody
  static constexpr size_t kMaxBody = acme::AcmeServer::kMaxBody;
  // Of a longer one so much is read, and thrown away, before it is refused: clients take an answer
  // that comes in the middle of their request for none at all.
  static constexpr size_t kMaxDiscard = 1 << 20;

  std::set<std::string, std::less<>> hosts{};  // lower case
  // To the control thread; `done` comes by mailbox to who asked, or (the process ends) never.
  // `request.url` is whole; its scheme says by which listener it came.
  std::function<void(HttpRequest request, std::string client, Mailbox::Address reply_to, Done done)>
      ask{};
  std::atomic<size_t> waiting{0};

  bool is_host(std::string_view host) const { return hosts.contains(host); }
  // Are these paths answered by plain HTTP, too: CRLs, OCSP, the signers' certificates?
  static bool is_about_status(std::string_view target);
};

// A request for such a host: its whole is sent to the control thread, and the answer back. Others
// than /acme/... are 404. Worker thread.
class AcmeExchange final : public Exchange {
 public:
  AcmeExchange(std::shared_ptr<AcmeDoor> door, Mailbox::Address home, RequestHead head,
               ResponseStream& stream);
  ~AcmeExchange() override;

  void start() override;
  void on_body(std::string_view bytes) override;
  void on_request_end(const HeaderList& trailers) override;
  void on_writable() override {}

 private:
  void refuse_length();
  void refuse(int status, std::string_view type, const std::string& detail);
  void answer(const HttpReply& reply);

  const std::shared_ptr<AcmeDoor> door_;
  const Mailbox::Address home_;
  RequestHead head_;
  ResponseStream& stream_;
  std::string body_;     // <= kMaxBody
  size_t received_ = 0;  // of the body
  bool answered_ = false;
  std::shared_ptr<AcmeExchange*> self_;  // for an answer that comes when we have gone
};

}  // namespace latchkey::edge
