#include "edge/import/convert.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <utility>

#include "acme/ca_url.h"
#include "acme/jws.h"
#include "base/json.h"
#include "cache/secret_box.h"
#include "edge/import/acme_url.h"
#include "edge/import/jwk.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kPollSpread = 24h;
constexpr auto kClockDifference = 10min;  // of the machine that certificates came from
constexpr int kLifePerMargin = 10;  // nothing is planned for the last tenth of a certificate's life

// certificates for tests, which browsers do not trust
constexpr std::string_view kStaging = "https://acme-staging-v02.api.letsencrypt.org/directory";

std::chrono::seconds random_below(std::chrono::seconds span, std::minstd_rand& random) {
  return std::chrono::seconds(std::uniform_int_distribution<int64_t>(0, span.count())(random));
}

std::optional<ServerName> parse_any(const std::string& text) {
  constexpr ServerNameRules kLenient{.underscore = true};
  Result<ServerName> name = text.starts_with("*.") ? ServerName::parse_wildcard(text, kLenient)
                                                   : ServerName::parse(text, kLenient);
  if (!name) name = ServerName::parse_ip(text);
  return name ? std::optional(*std::move(name)) : std::nullopt;
}

// What is put first: exact names, then wildcards, then addresses.
int rank(const ServerName& name) {
  return name.is_ip() ? 2 : name.is_wildcard() ? 1 : 0;
}

Result<PrivateKey> account_key(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text[first] != '{') return private_key_from_pem(text);
  const Result<JsonValue> jwk = parse_json(text);
  if (!jwk) return Error{ErrorCode::kInvalid, "the key is no JSON"};
  return private_key_from_jwk(*jwk);
}

}  // namespace

std::vector<ServerName> usable_names(const Certificate& certificate) {
  std::vector<ServerName> out;
  out.reserve(certificate.names().size());
  for (const std::string& text : certificate.names()) {
    if (auto name = parse_any(text)) out.push_back(*std::move(name));
  }
  return out;
}

bool has_rsa_leaf(std::string_view chain_pem) {
  const bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(chain_pem.data(), static_cast<int>(chain_pem.size())));
  const bssl::UniquePtr<X509> leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  const bssl::UniquePtr<EVP_PKEY> key(leaf == nullptr ? nullptr : X509_get_pubkey(leaf.get()));
  ERR_clear_error();
  return key != nullptr && EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
}

std::variant<JudgedEntry, ImportSkip> judge_entry(const ImportEntry& entry, WallTime now) {
  const auto refused = [&](std::string why, bool damaged) {
    return ImportSkip{entry.path, std::move(why), damaged};
  };
  Result<PrivateKey> key = private_key_from_pem(entry.key_pem);
  if (!key) return refused(key.error().message, true);
  const Result<CertificatePtr> certificate =
      Certificate::from_pem(entry.chain_pem, *std::move(key));
  if (!certificate) return refused(certificate.error().message, true);
  const Certificate& made = **certificate;
  if (made.expired_at(now)) return refused("it expired at " + iso_time(made.not_after()), false);
  if (made.chain_not_after() <= now) {
    return refused("an issuer in its chain expired at " + iso_time(made.chain_not_after()), false);
  }
  if (made.not_before() > now + kClockDifference) {
    return refused("it is not valid before " + iso_time(made.not_before()), false);
  }
  const std::vector<ServerName> names = usable_names(made);
  const auto best =
      std::min_element(names.begin(), names.end(),
                       [](const ServerName& a, const ServerName& b) { return rank(a) < rank(b); });
  if (best == names.end()) return refused("it has no name that a server can have", false);
  return JudgedEntry{*certificate, *best};
}

ImportFiling::ImportFiling(const std::vector<Config::Issuer>& issuers, const RenewalRules& renewal)
    : renewal_(renewal) {
  issuers_.reserve(issuers.size());
  for (const Config::Issuer& issuer : issuers) {
    if (!issuer.authority) issuers_.push_back({issuer.name, issuer.directory});
  }
}

const ImportFiling::Issuer* ImportFiling::find(const std::string& directory) const {
  const auto found = std::find_if(issuers_.begin(), issuers_.end(), [&](const Issuer& issuer) {
    return same_directory(issuer.directory, directory);
  });
  return found == issuers_.end() ? nullptr : &*found;
}

RenewalPlan ImportFiling::plan(const Certificate& certificate, const ImportEntry& entry,
                               bool ask_ca, WallTime now, std::minstd_rand& random) const {
  const WallTime begin = certificate.not_before();
  const WallTime end = certificate.chain_not_after();
  RenewalPlan plan = plan_by_life(begin, end);
  const bool sensible = entry.window && entry.window->start < entry.window->end &&
                        entry.window->end > begin && entry.window->start < end;
  if (sensible) {
    adopt_window(plan, *entry.window, begin, end, renewal_, now, random);
    const WallTime latest = std::min(entry.window->end, end - (end - begin) / kLifePerMargin);
    const bool good_instant =
        entry.renew_at && *entry.renew_at >= entry.window->start && *entry.renew_at <= latest;
    if (good_instant && entry.window->end > now) plan.renew_at = *entry.renew_at;
  }
  // A hundred thousand at once would be too many for any CA.
  const WallTime later = now + random_below(kPollSpread, random);
  if (ask_ca) plan.poll_at = later;
  plan.look_at = std::min(plan.renew_at, later);
  return plan;
}

std::variant<ImportedCertificate, ImportSkip> ImportFiling::file(JudgedEntry judged,
                                                                 const ImportEntry& entry,
                                                                 WallTime now,
                                                                 std::minstd_rand& random) const {
  const Issuer* const issuer = find(entry.directory);
  if (issuer == nullptr && same_directory(entry.directory, kStaging)) {
    return ImportSkip{entry.path,
                      "it is for tests only: its CA is " + std::string(kStaging) +
                          ", which is not among the configured issuers",
                      false};
  }
  CertificateOrigin origin{issuer == nullptr ? std::string(kImportedIssuer) : issuer->name};
  if (issuer != nullptr && acme::check_ca_url("account", entry.account)) {
    origin.account = entry.account;
  }
  origin.plan = plan(*judged.certificate, entry, issuer != nullptr, now, random);
  return ImportedCertificate{std::move(judged.name), std::move(judged.certificate),
                             std::move(origin)};
}

Result<AccountRecord> ImportFiling::file(const ImportAccount& account) const {
  AccountRecord record;
  const Issuer* const issuer = find(account.directory);
  record.directory = issuer == nullptr ? account.directory : issuer->directory;
  if (record.directory.empty()) {
    return Error{ErrorCode::kInvalid, "it does not say which CA it is of"};
  }
  if (auto good = acme::check_ca_url("its CA's directory", record.directory); !good) {
    return good.error();
  }
  // One without a URL is looked up at the CA by its key.
  if (!account.url.empty()) {
    if (auto good = acme::check_ca_url("its URL", account.url); !good) return good.error();
    record.url = account.url;
  }
  Result<PrivateKey> key = account_key(account.key_pem);
  if (!key) return std::move(key).error();
  const Result<acme::AccountKey> usable = acme::AccountKey::from_key(*std::move(key));
  if (!usable) return usable.error();
  record.key_der = usable->to_der();
  record.eab_kid = account.eab_kid;
  return record;
}

}  // namespace latchkey::edge
