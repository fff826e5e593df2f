// Staples, configured and exported certificates, proofs by DNS.
#include <algorithm>
#include <array>

#include "acme/rfc2136.h"
#include "edge/control_plane.h"
#include "edge/dns_hook.h"
#include "edge/secret_files.h"

namespace latchkey::edge {
namespace {

// RFC 5280's words for a key that somebody else may have.
constexpr std::array<std::string_view, 3> kCompromises{"keyCompromise", "cACompromise",
                                                       "aACompromise"};

constexpr Millis kStoreRetry{10'000};
constexpr Millis kAfterTry{1'000};  // the ledger counts in seconds
constexpr size_t kMaxRevocations = 10'000;
constexpr Millis kFirstPause = std::chrono::minutes(1), kLongestPause = std::chrono::hours(24);
constexpr int kPauseGrows = 10;  // each time

}  // namespace

Result<> check_configured(const Config& config) {
  std::vector<std::string> complaints;
  for (const Configured::Pair& pair : Configured::find_pairs(config, complaints)) {
    if (auto read = read_pair(pair); !read) complaints.push_back(read.error().message);
  }
  if (complaints.empty()) return Unit{};
  std::string all;
  for (const std::string& one : complaints) all += (all.empty() ? "" : "\n") + one;
  return Error{ErrorCode::kInvalid, all};
}

Result<> ControlPlane::open_dns() {
  if (!config_.dns) return Unit{};
  const DnsConfig& from = *config_.dns;
  if (from.hook) {
    DnsHook::Options options{config_.file(from.hook->program).string(), from.hook->timeout};
    // It may be mended while we serve; its absence stops nobody.
    if (auto program = check_program(options.program); !program) {
      log_.error("dns_hook_unusable", program.error().message);
    }
    dns_records_ = std::make_unique<DnsHook>(std::move(options), loop_, log_);
  } else if (from.rfc2136) {
    acme::Rfc2136Records::Options options;
    options.server = from.rfc2136->server;
    options.zone = from.rfc2136->zone;
    options.key_name = from.rfc2136->key_name;
    options.algorithm = from.rfc2136->algorithm;
    options.ttl = static_cast<uint32_t>(from.rfc2136->ttl);
    if (from.rfc2136->secret_file) {
      auto secret = read_tsig_key(config_.file(*from.rfc2136->secret_file));
      if (!secret) return std::move(secret).error().in("dns.rfc2136.secret_file");
      options.secret = *std::move(secret);
    }
    dns_records_ =
        std::make_unique<acme::Rfc2136Records>(std::move(options), loop_.uv(), loop_.clock(), log_);
  }
  resolver_ = std::make_unique<Resolver>(loop_.uv(), Resolver::Options{from.resolvers});
  acme::DnsProofs::Options options;
  options.follow_cname = from.follow_cname;
  options.propagation_timeout = from.propagation_timeout;
  options.settle = from.settle;
  options.resolvers = from.resolvers;
  dns_proofs_ = std::make_unique<acme::DnsProofs>(
      std::move(options),
      acme::DnsProofs::Parts{*dns_records_, *resolver_, *store_, loop_.clock(), log_});
  return Unit{};
}

void ControlPlane::open_staples() {
  ocsp_ = std::make_unique<OcspSource>(
      loop_, log_, [this](const std::string& responder) { return find_responder(responder); });
  Staples::Options options;
  options.enabled = config_.ocsp;
  Staples::Parts parts{
      .store = *store_,
      .cache = cache_,
      .source = *ocsp_,
      .events = *events_,
      .clock = loop_.clock(),
      .log = log_,
      .revoked = [this](const ServerName& name, Slot slot, const CertificatePtr& certificate,
                        const std::string& reason) { revoked(name, slot, certificate, reason); }};
  staples_ = std::make_unique<Staples>(options, std::move(parts));
  if (config_.export_to) {
    ExportConfig exported = *config_.export_to;
    exported.dir = config_.file(exported.dir).string();
    if (exported.hook) exported.hook->program = config_.file(exported.hook->program).string();
    exporter_ = std::make_unique<Exporter>(std::move(exported), *store_, loop_, log_);
  }
}

void ControlPlane::open_configured() {
  configured_ = std::make_unique<Configured>(
      loop_, log_, [this](const std::vector<ConfiguredCertificate>& certificates) {
        cache_.set_configured(certificates);
        staples_->set_configured(certificates);
      });
  configured_->set(config_);
}

// A key that somebody else may have is never used again. Other reasons leave the certificate in use
// until it has a successor: the policy is asked, the ledger obeyed, as at any renewal.
void ControlPlane::revoked(const ServerName& name, Slot slot, const CertificatePtr& certificate,
                           const std::string& reason) {
  const std::vector<CertificatePtr> configured = cache_.configured();
  if (std::any_of(configured.begin(), configured.end(),
                  [&](const CertificatePtr& one) { return one->same_leaf(*certificate); })) {
    log_.error("configured_certificate_revoked",
               "the CA has revoked a configured certificate (" + reason +
                   "); it is served until its files are replaced",
               {{"name", name.text()}, {"serial", certificate->serial()}});
    return;
  }
  const bool compromised =
      std::find(kCompromises.begin(), kCompromises.end(), reason) != kCompromises.end();
  if (compromised) {
    cache_.erase(*certificate);
    tasks_.spawn(replace_revoked(name, slot, certificate));
  } else {
    tasks_.spawn(renew_revoked(name, slot, certificate));
  }
}

// Whoever revokes what he has just issued is not asked for one after the other: the first is
// replaced at once, the next ones at the pace of failures.
Millis ControlPlane::pause_after_revocation(const SlotName& what) {
  if (revocations_.size() >= kMaxRevocations && !revocations_.contains(what)) revocations_.clear();
  const int before = revocations_[what]++;
  if (before == 0) return Millis(0);
  Millis pause = kFirstPause;
  for (int i = 1; i < before && pause < kLongestPause; ++i) pause *= kPauseGrows;
  return std::min(pause, kLongestPause);
}

Task<> ControlPlane::renew_revoked(ServerName name, Slot slot, CertificatePtr certificate) {
  const Millis pause = pause_after_revocation({name, slot});
  for (;;) {
    Task<NameRecord> finding = store_->find_name(name, slot);
    const Result<NameRecord> record = co_await std::move(finding).result();
    if (record && (record->certificate == nullptr || !record->info ||
                   !record->certificate->same_leaf(*certificate))) {
      co_return Unit{};  // it has a successor
    }
    if (record) {
      // A look that is under way would put back the plan that it began with.
      renewals_->call_off(record->info->name);
      RenewalPlan plan = record->info->plan;
      plan.renew_at = plan.look_at =
          loop_.clock().wall_now() + std::chrono::ceil<std::chrono::seconds>(pause);
      Task<> putting = store_->put_plan(record->info->id, plan);
      const Result<> put = co_await std::move(putting).result();
      if (put) break;
    }
    log_.error("store_write_failed", "the renewal of a revoked certificate is not planned yet",
               {{"name", name.text()}, {"serial", certificate->serial()}});
    co_await sleep(loop_.clock(), kStoreRetry);
  }
  renewals_->look_soon();
  co_return Unit{};
}

Task<> ControlPlane::replace_revoked(ServerName name, Slot slot, CertificatePtr certificate) {
  const Millis pause = pause_after_revocation({name, slot});
  if (pause > Millis(0)) {
    Error error{ErrorCode::kProtocol,
                "the CA revokes the certificates that it issues for the name: compromised keys"};
    error.retry_after = pause;
    Task<> noting =
        ledger_->failed(name, FailureClass::kBadCertificate, std::move(error), std::string());
    const Result<> noted = co_await std::move(noting).result();
    if (!noted) log_.error("store_write_failed", noted.error().message, {{"name", name.text()}});
  }
  for (;;) {
    Task<NameRecord> finding = store_->find_name(name, slot);
    const Result<NameRecord> record = co_await std::move(finding).result();
    if (record && (record->certificate == nullptr || !record->info ||
                   !record->certificate->same_leaf(*certificate))) {
      break;
    }
    if (record) {
      Task<std::vector<std::string>> deleting = store_->delete_certificate_row(record->info->id);
      const auto deleted = co_await std::move(deleting).result();
      if (deleted) {
        // A visit may have read it before.
        cache_.erase(*certificate);
        break;
      }
    }
    log_.error("store_write_failed",
               "a certificate with a compromised key could not be deleted yet",
               {{"name", name.text()}, {"serial", certificate->serial()}});
    co_await sleep(loop_.clock(), kStoreRetry);
  }
  while (const auto next = ledger_->next_try(name)) {
    co_await sleep(loop_.clock(), *next - loop_.clock().wall_now() + kAfterTry);
  }
  certificates(slot).join(name, Lane::kUrgentRenewal, [](const Result<CertificatePtr>&) {});
  co_return Unit{};
}

}  // namespace latchkey::edge
