#include "acme/authority/replacements.h"

#include <algorithm>

#include "acme/authority/general_names.h"
#include "acme/authority/server_time.h"
#include "acme/base64url.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

// RFC 9773, 4.3.3: how long a client waits before it asks again; a part of the certificate's life,
// so that a revocation is heard of in time.
constexpr std::chrono::seconds kMaxAskAgain = std::chrono::hours(6);
constexpr std::chrono::seconds kMinAskAgain = std::chrono::minutes(1);
constexpr int kAskedInALife = 12;

struct CertificateId {
  std::string key_identifier;
  std::string serial;  // hex
};

std::optional<CertificateId> parse_id(std::string_view id) {
  const size_t dot = id.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::optional<std::string> key_identifier = base64url_decode(id.substr(0, dot));
  const std::optional<std::string> serial = base64url_decode(id.substr(dot + 1));
  if (!key_identifier || !serial || key_identifier->empty() || serial->empty()) {
    return std::nullopt;
  }
  // DER's zero byte in front of a set bit is not part of the number.
  const std::string_view number =
      std::string_view(*serial).substr(serial->size() > 1 && serial->front() == 0 ? 1 : 0);
  return CertificateId{*std::move(key_identifier), to_hex(number)};
}

}  // namespace

Task<std::optional<IssuedCertificate>> Replacements::find(std::string id) {
  const std::optional<CertificateId> parsed = parse_id(id);
  if (!parsed || !context_.authority.is_ours(parsed->key_identifier)) {
    co_return std::optional<IssuedCertificate>();
  }
  const std::string serial = parsed->serial;
  co_return co_await context_.store.find_issued(context_.name(), serial);
}

Task<Judged<bool>> Replacements::check(std::string id, std::string account,
                                       std::vector<ServerName> names) {
  const std::optional<IssuedCertificate> certificate = co_await find(id);
  if (!certificate) co_return Judged<bool>(false);
  if (certificate->holder != account) {
    co_return Judged<bool>(unauthorized("\"replaces\" names a certificate of another account"));
  }
  const Result<LeafFacts> facts = read_leaf(certificate->leaf);
  const bool shared =
      facts && std::any_of(names.begin(), names.end(), [&](const ServerName& name) {
        return std::find(facts->names.begin(), facts->names.end(), name) != facts->names.end();
      });
  if (!shared) {
    co_return Judged<bool>(
        malformed("\"replaces\" names a certificate for none of these identifiers"));
  }
  const auto other = replaced_by_.get(id);
  if (other == nullptr) co_return Judged<bool>(true);
  const LiveOrderPtr order = co_await context_.orders.find(*other);
  const WallTime now = context_.clock.wall_now();
  if (order == nullptr || order->order.status_at(now) == OrderStatus::kInvalid) {
    co_return Judged<bool>(true);
  }
  co_return Judged<bool>(ServerProblem{409, std::string(problem_type::kAlreadyReplaced),
                                       "another order replaces that certificate already"});
}

void Replacements::note(const std::string& id, const std::string& order) {
  static_cast<void>(replaced_by_.put(id, std::make_shared<const std::string>(order), 1));
}

Task<ServerAnswer> Replacements::renewal_info(ServerRoute route) {
  const std::optional<IssuedCertificate> certificate = co_await find(route.id);
  if (!certificate) {
    co_return unknown("this authority has issued no certificate of that identifier");
  }
  const Authority::Window window = context_.authority.renewal_window(*certificate);
  const std::string span =
      JsonObject().text("start", rfc3339(window.start)).text("end", rfc3339(window.end)).str();
  HttpReply reply = json_reply(200, JsonObject().raw("suggestedWindow", span).str());
  const std::chrono::seconds life = certificate->not_after - certificate->not_before;
  const auto again = std::clamp(life / kAskedInALife, kMinAskAgain, kMaxAskAgain);
  set_header(reply, "retry-after", std::to_string(again.count()));
  co_return ServerAnswer(std::move(reply));
}

}  // namespace latchkey::acme
