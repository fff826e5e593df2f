#include "edge/acme_door.h"

#include <utility>

#include "base/json.h"
#include "edge/pages.h"

namespace latchkey::edge {
namespace {

constexpr std::string_view kPrefix = "/acme/";
constexpr const char* kRetryAfter = "1";  // second

// One of the requests that wait; it is given back with the letter, or with its answer.
class Place {
 public:
  explicit Place(std::shared_ptr<AcmeDoor> door)
      : door_(std::move(door)),
        good_(door_->waiting.fetch_add(1, std::memory_order_relaxed) < AcmeDoor::kMaxWaiting) {}
  ~Place() { door_->waiting.fetch_sub(1, std::memory_order_relaxed); }
  Place(const Place&) = delete;

  bool good() const { return good_; }

 private:
  const std::shared_ptr<AcmeDoor> door_;
  const bool good_;
};

}  // namespace

bool AcmeDoor::is_about_status(std::string_view target) {
  if (!target.starts_with(kPrefix)) return false;
  target.remove_prefix(kPrefix.size());
  const size_t slash = target.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view rest = target.substr(slash + 1);
  return rest == "ocsp" || rest.starts_with("ocsp/") || rest.starts_with("crl/") ||
         rest.starts_with("issuer/");
}

AcmeExchange::AcmeExchange(std::shared_ptr<AcmeDoor> door, Mailbox::Address home, RequestHead head,
                           ResponseStream& stream)
    : door_(std::move(door)), home_(std::move(home)), head_(std::move(head)), stream_(stream) {}

AcmeExchange::~AcmeExchange() = default;

void AcmeExchange::start() {
  const HostRules* const rules = stream_.client().rules;
  if (rules != nullptr && !rules->covers(head_.host())) {
    answered_ = true;
    return answer_page(stream_, 421, "This connection was made for another host name.");
  }
  if (!head_.target.starts_with(kPrefix)) {
    answered_ = true;
    return answer_page(stream_, 404, "There is nothing here but an ACME server.");
  }
  const uint64_t length = head_.body.kind == Body::Kind::kLength ? head_.body.length : 0;
  const bool hopeless =
      length > (head_.expect_continue ? AcmeDoor::kMaxBody : AcmeDoor::kMaxDiscard);
  if (hopeless) return refuse_length();
  if (!head_.expect_continue) return;
  ResponseHead go_on;
  go_on.status = 100;
  stream_.send_interim(go_on);
}

void AcmeExchange::on_body(std::string_view bytes) {
  if (answered_) return;
  received_ += bytes.size();
  if (received_ > AcmeDoor::kMaxDiscard) return refuse_length();
  if (received_ > AcmeDoor::kMaxBody) {
    std::string().swap(body_);
  } else {
    body_.append(bytes);
  }
}

void AcmeExchange::on_request_end(const HeaderList&) {
  if (answered_) return;
  if (received_ > AcmeDoor::kMaxBody) return refuse_length();
  const auto place = std::make_shared<const Place>(door_);
  if (!place->good()) {
    return refuse(503, "rateLimited", "too many requests are under way: try again soon");
  }
  HttpRequest request;
  request.method = head_.method;
  request.url = head_.scheme + "://" + head_.authority + head_.target;
  request.headers.reserve(head_.headers.size());
  for (const auto& [name, value] : head_.headers) request.headers.emplace_back(name, value);
  request.body = std::move(body_);
  std::string client =
      head_.client_address.empty() ? std::string(stream_.client().address) : head_.client_address;
  self_ = std::make_shared<AcmeExchange*>(this);
  door_->ask(std::move(request), std::move(client), home_,
             [here = std::weak_ptr(self_), place](const HttpReply& reply) {
               AcmeExchange* exchange = nullptr;
               if (const auto self = here.lock()) exchange = *self;
               if (exchange != nullptr) exchange->answer(reply);
             });
}

void AcmeExchange::refuse_length() {
  refuse(413, "malformed", "the request's body is longer than 64 KiB");
}

void AcmeExchange::refuse(int status, std::string_view type, const std::string& detail) {
  HttpReply reply;
  reply.status = status;
  reply.headers.emplace_back("content-type", "application/problem+json");
  if (status == 503) reply.headers.emplace_back("retry-after", kRetryAfter);
  reply.body = JsonObject()
                   .text("type", "urn:ietf:params:acme:error:" + std::string(type))
                   .text("detail", detail)
                   .number("status", status)
                   .str();
  answer(reply);
}

// May be the end of us.
void AcmeExchange::answer(const HttpReply& reply) {
  answered_ = true;
  ResponseHead head;
  head.status = reply.status;
  for (const auto& [name, value] : reply.headers) {
    if (name != "content-length") head.headers.add(name, value);
  }
  const bool bodiless = reply.status == 204 || reply.status == 304;
  head.body = bodiless ? Body{} : Body{Body::Kind::kLength, reply.body.size()};
  stream_.send_head(head);
  if (!bodiless && !reply.body.empty()) stream_.send_body(reply.body);
  stream_.finish();
}

}  // namespace latchkey::edge
