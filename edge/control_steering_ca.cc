// What the operator can have done at the CAs: revocation, and the accounts.
#include <algorithm>

#include "acme/issuer.h"
#include "base/json.h"
#include "base/within.h"
#include "edge/control_steering.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kAccountLimit = 20s;  // for the CA's word on one account

template <typename Sources>
std::string known_issuers(const Sources& sources) {
  std::string out;
  for (const auto& source : sources) out += (out.empty() ? "" : ", ") + source->name();
  return out;
}

std::string account_json(AcmeSource& source, const Result<acme::AccountStatus>& looked) {
  JsonObject out;
  out.text("issuer", source.name());
  out.raw("error", looked ? "null" : json_quote(looked.error().message));
  out.text("directory", source.directory());
  if (!looked) return out.text("url", source.issuer().account_url()).str();
  return out.text("url", looked->url)
      .text("status", looked->status)
      .text("eab_kid", looked->eab_kid)
      .raw("contact", json_list(looked->contact))
      .boolean("deactivated", looked->deactivated)
      .str();
}

// Answers of all issuers, asked at the same time: a CA that hangs holds up nobody twice.
struct Looks {
  explicit Looks(size_t issuers) : answers(issuers), left(issuers) {}
  std::vector<std::string> answers;  // JSON, in the configuration's order
  size_t left;
  Pending<> all;
};

Task<acme::AccountStatus> look(acme::AcmeIssuer& issuer, Clock& clock) {
  Task<acme::AccountStatus> asking = issuer.account_status();
  acme::AccountStatus status = co_await within(clock, kAccountLimit, std::move(asking));
  co_return status;
}

Task<> look_at(AcmeSource& source, Clock& clock, size_t index, std::weak_ptr<Looks> to) {
  Task<acme::AccountStatus> looking = look(source.issuer(), clock);
  const Result<acme::AccountStatus> status = co_await std::move(looking).result();
  if (const auto looks = to.lock()) {
    looks->answers[index] = account_json(source, status);
    if (--looks->left == 0) looks->all.resolve(Unit{});
  }
  co_return Unit{};
}

// `deeds`: those that are under way; this is one.
Task<> carry_out(Task<std::string> deed, std::weak_ptr<Pending<std::string>> to, size_t& deeds) {
  Result<std::string> outcome = co_await std::move(deed).result();
  --deeds;
  if (const auto waiting = to.lock()) waiting->resolve(std::move(outcome));
  co_return Unit{};
}

}  // namespace

Task<std::string> ControlSteering::see_through(Task<std::string> deed) {
  if (deeds_ >= kMaxDeeds) {
    co_return Error{ErrorCode::kThrottled, "16 such requests are under way: wait for one to end"};
  }
  ++deeds_;
  const auto answer = std::make_shared<Pending<std::string>>();
  tasks_.spawn(carry_out(std::move(deed), answer, deeds_));
  Pending<std::string>& waiting = *answer;
  Result<std::string> outcome = co_await waiting;
  co_return outcome;
}

Task<std::string> ControlSteering::revoke(ServerName name, std::string reason) {
  Task<std::string> deed = see_through(revoke_now(std::move(name), std::move(reason)));
  co_return co_await std::move(deed).result();
}

Task<std::string> ControlSteering::revoke_now(ServerName name, std::string reason) {
  Task<std::string> revoking = revoke_slot(name, Slot::kMain, reason);
  Result<std::string> main = co_await std::move(revoking).result();
  const bool missing = !main && main.error().code == ErrorCode::kNotFound;
  if (!main && !missing) co_return std::move(main).error();
  // Its twin, too, where it has one of its own.
  ControlPlane& plane = parts_.plane;
  Task<NameRecord> finding = plane.store().find_name(name, Slot::kRsa);
  const NameRecord twin = co_await std::move(finding);
  if (!twin.info || twin.info->slot != Slot::kRsa) co_return main;
  Task<std::string> revoking_twin = revoke_slot(name, Slot::kRsa, reason);
  Result<std::string> second = co_await std::move(revoking_twin).result();
  if (missing) co_return second;
  // What ended the work under way for the name has ended the first one's successor, too.
  plane.prefetcher().add(twin.info->name, Prefetcher::From::kOperator);
  if (!second) {
    co_return std::move(second).error().in("one certificate of " + name.text() +
                                           " is revoked, but not its RSA certificate");
  }
  co_return main;
}

Task<std::string> ControlSteering::revoke_slot(ServerName name, Slot slot, std::string reason) {
  ControlPlane& plane = parts_.plane;
  Task<NameRecord> finding = plane.store().find_name(name, slot);
  const NameRecord record = co_await std::move(finding);
  if (record.certificate == nullptr || !record.info) {
    co_return Error{ErrorCode::kNotFound, "no certificate is stored for " + name.text()};
  }
  const CertificateInfo& info = *record.info;
  if (info.name != name && !names_it(record.certificate, name)) {
    co_return Error{ErrorCode::kNotFound, name.text() +
                                              " has no certificate of its own: a wildcard "
                                              "certificate covers it; revoke " +
                                              info.name.text()};
  }
  CertificateSource* const source = find_issuer(info.issuer);
  if (source == nullptr) {
    co_return Error{ErrorCode::kNotFound,
                    "the certificate of " + name.text() + " is by the issuer \"" + info.issuer +
                        "\", which is not configured any more (" + known_issuers(plane.issuers()) +
                        " are): add it to revoke the certificate, or DELETE the name to end it"};
  }
  Task<> revoking = source->revoke(record.certificate, reason);
  Result<> revoked = co_await std::move(revoking).result();
  if (!revoked) {
    co_return std::move(revoked).error().in("revoking the certificate of " + info.name.text() +
                                            " at " + info.issuer);
  }

  // It must not be served again, by whatever is under way.
  plane.call_off(info.name);
  plane.cache().erase(*record.certificate);
  // Writes are done in their order: this one stands behind those of what was called off.
  Task<> forgiving = plane.coordinator().forget_failures(info.name);
  co_await std::move(forgiving);
  // While the CA was asked, a renewal may have put another one into its place: that one stays.
  Task<NameRecord> looking = plane.store().find_name(info.name, slot);
  const Result<NameRecord> left = co_await std::move(looking).result();
  const bool is_there = left && left->info && left->info->id == info.id;
  Result<> deleted = Unit{};
  if (!left) deleted = left.error();
  if (is_there) {
    Task<std::vector<std::string>> deleting = plane.store().delete_certificate_row(info.id);
    const auto names = co_await std::move(deleting).result();
    if (!names) deleted = names.error();
  }
  // A visit that came meanwhile has read what was there before.
  plane.call_off(info.name);
  plane.cache().erase(*record.certificate);

  Event event;
  event.kind = event_kind::kRevoked;
  event.name = info.name.text();
  event.issuer = info.issuer;
  event.text = "the certificate " + info.serial + " is revoked, by the operator: " + reason;
  event.details = JsonObject().text("serial", info.serial).text("reason", reason).str();
  tell(std::move(event));
  if (!deleted) {
    co_return std::move(deleted).error().in(
        "the certificate is revoked and out of memory, but its row could not be deleted (when the "
        "store works again, revoke it once more)");
  }
  const bool denied = plane.policy().decide_without_asking(info.name).verdict == Verdict::kDeny;
  const bool replaced = left->certificate != nullptr && !is_there;
  const bool wanted =
      !denied && !replaced && plane.prefetcher(slot).add(info.name, Prefetcher::From::kOperator);
  co_return JsonObject()
      .text("name", info.name.text())
      .text("serial", info.serial)
      .text("issuer", info.issuer)
      .text("reason", reason)
      .boolean("new_one", wanted)
      .text("says", std::string("Its certificate is revoked, and deleted with its key. ") +
                        (replaced ? "A renewal has brought another one meanwhile."
                         : denied ? "There will be no other: policy denies the name."
                         : wanted ? "Another one, with a new key, is obtained in the background."
                                  : "The next visitor's handshake gets another one."))
      .str();
}

Task<std::string> ControlSteering::accounts() {
  const auto& sources = parts_.plane.sources();
  const auto looks = std::make_shared<Looks>(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    tasks_.spawn(look_at(*sources[i], parts_.loop.clock(), i, looks));
  }
  if (sources.empty()) looks->all.resolve(Unit{});
  Pending<>& all = looks->all;
  const Result<> outcome = co_await all;
  if (!outcome) co_return outcome.error();
  std::string list;
  for (const std::string& account : looks->answers) list += (list.empty() ? "" : ",") + account;
  co_return JsonObject().raw("accounts", "[" + list + "]").str();
}

Task<std::string> ControlSteering::change_account(std::string issuer, AccountAct act) {
  AcmeSource* const source = find_source(issuer);
  if (source == nullptr) {
    if (find_issuer(issuer) != nullptr) {
      co_return Error{ErrorCode::kNotFound,
                      "issuer " + issuer + " is an authority in here: it has no account"};
    }
    co_return Error{ErrorCode::kNotFound, "no issuer is called \"" + issuer + "\"; there are: " +
                                              known_issuers(parts_.plane.issuers())};
  }
  Task<std::string> deed = see_through(change_account_now(*source, act));
  co_return co_await std::move(deed).result();
}

Task<std::string> ControlSteering::change_account_now(AcmeSource& source, AccountAct act) {
  acme::AcmeIssuer& issuer = source.issuer();
  std::string did, says;
  Task<> acting;
  switch (act) {
    case AccountAct::kRollKey:
      acting = issuer.roll_key();
      did = "the account's key is changed";
      says = "The account has a new key; the old one is deleted.";
      break;
    case AccountAct::kDeactivate:
      acting = issuer.deactivate();
      did = "the account is deactivated";
      says =
          "The account is deactivated at the CA. Nothing is ordered there until it is "
          "reactivated, which registers a new one.";
      break;
    case AccountAct::kReactivate:
      acting = issuer.reactivate();
      did = "a new account is registered";
      says = "A new account is registered; orders go to the issuer again.";
      break;
  }
  Result<> outcome = co_await std::move(acting).result();
  if (!outcome) co_return std::move(outcome).error().in("issuer " + source.name());
  Event event;
  event.kind = event_kind::kAccountChanged;
  event.issuer = source.name();
  event.text = did + ", by the operator";
  tell(std::move(event));
  co_return JsonObject()
      .text("issuer", source.name())
      .text("account", issuer.account_url())
      .text("says", says)
      .str();
}

}  // namespace latchkey::edge
