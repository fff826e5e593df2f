// Putting the control plane together.
#include <algorithm>
#include <set>

#include "acme/self_signed.h"
#include "base/file.h"
#include "edge/allowlist_loader.h"
#include "edge/control_plane.h"
#include "edge/fallback.h"
#include "edge/front/error_pages.h"
#include "edge/secret_files.h"
#include "edge/tls_policy.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxCaFile = 16 << 20;  // bytes
constexpr size_t kMaxTokenFile = 4096;   // bytes
constexpr std::chrono::hours kStandInLife{24};
constexpr Millis kStaplePatience = 60s;  // before a certificate without one replaces one with one

Result<std::string> read_token(const std::filesystem::path& file) {
  auto token = read_file(file, kMaxTokenFile);
  if (!token) return std::move(token).error().in("on_demand.ask.token_file");
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r')) token->pop_back();
  for (char c : *token) {
    if (c <= ' ' || c > '~') {
      return Error{ErrorCode::kInvalid, "on_demand.ask.token_file: " + file.string() +
                                            " must hold one token of printable characters"};
    }
  }
  return token;
}

// Plain HTTP to a host that is not this one.
bool is_clear_to_elsewhere(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return false;
  url.remove_prefix(kScheme.size());
  return !url.starts_with("127.") && !url.starts_with("localhost") && !url.starts_with("[::1]");
}

Coordinator::Expired expired_policy(ExpiredPolicy policy) {
  switch (policy) {
    case ExpiredPolicy::kServe:
      return Coordinator::Expired::kServe;
    case ExpiredPolicy::kSelfSigned:
      return Coordinator::Expired::kSelfSigned;
    case ExpiredPolicy::kRefuse:
      return Coordinator::Expired::kRefuse;
  }
  return Coordinator::Expired::kServe;
}

std::set<ServerName> managed_set(const Config& config) {
  const std::vector<ServerName> names = managed_names(config);
  return {names.begin(), names.end()};
}

// Says in its name why it is there: browsers show that.
Result<CertificatePtr> stand_in_for(const ServerName& name) {
  acme::SelfSigned what;
  what.common_name = "certificate expired, renewal is under way";
  what.dns_name = name.text();
  what.life = kStandInLife;
  return acme::make_self_signed(what);
}

std::optional<Rate> rate_of(const std::optional<RateConfig>& from) {
  return from ? std::optional(Rate::of(from->burst, from->per)) : std::nullopt;
}

}  // namespace

Result<> check_files(const Config& config) {
  if (config.on_demand.ask && config.on_demand.ask->token_file) {
    auto token = read_token(config.file(*config.on_demand.ask->token_file));
    if (!token) return token.error();
  }
  for (const Config::Issuer& issuer : config.issuers) {
    if (!issuer.ca_file) continue;
    auto pem = read_file(config.file(*issuer.ca_file), kMaxCaFile);
    if (!pem) return std::move(pem).error().in("issuer " + issuer.name + ": ca_file");
    if (pem->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      return Error{ErrorCode::kInvalid, "issuer " + issuer.name + ": ca_file: " + *issuer.ca_file +
                                            " holds no certificate in PEM"};
    }
  }
  if (auto secrets = check_secret_files(config); !secrets) return secrets;
  if (config.hook) {
    if (auto program = check_program(config.file(config.hook->program).string()); !program) {
      return std::move(program).error().in("events.hook.program");
    }
  }
  auto pages = ErrorPages::load(config.front.error_pages,
                                [&](const std::string& file) { return config.file(file); });
  if (!pages) return pages.error();
  if (config.dns && config.dns->hook) {
    if (auto program = check_program(config.file(config.dns->hook->program).string()); !program) {
      return std::move(program).error().in("dns.hook.program");
    }
  }
  if (config.export_to && config.export_to->hook) {
    const std::string program = config.file(config.export_to->hook->program).string();
    if (auto usable = check_program(program); !usable) {
      return std::move(usable).error().in("export.hook.program");
    }
  }
  if (auto fallback = Fallback::load(config); !fallback) return fallback.error();
  if (auto tls = TlsPolicy::load(config); !tls) return tls.error();
  return Unit{};
}

ControlPlane::ControlPlane(const Config& config, Loop& loop, CertificateCache& cache,
                           acme::ChallengeTable& challenges, Log& log)
    : config_(config), loop_(loop), cache_(cache), challenges_(challenges), log_(log) {}

ControlPlane::~ControlPlane() = default;

Result<std::unique_ptr<ControlPlane>> ControlPlane::open(const Config& config, Loop& loop,
                                                         CertificateCache& cache,
                                                         acme::ChallengeTable& challenges, Log& log,
                                                         std::optional<StateLock> lock) {
  std::unique_ptr<ControlPlane> plane(new ControlPlane(config, loop, cache, challenges, log));
  if (auto ok = plane->open_state(std::move(lock)); !ok) return ok.error();
  if (auto ok = plane->open_events(); !ok) return ok.error();
  if (auto ok = plane->open_policy(); !ok) return ok.error();
  if (auto ok = plane->open_dns(); !ok) return ok.error();
  if (auto ok = plane->open_issuers(); !ok) return ok.error();
  plane->open_staples();
  plane->open_issuances();
  plane->open_gates();
  plane->open_configured();
  return plane;
}

Result<> ControlPlane::open_state(std::optional<StateLock> handed) {
  const std::filesystem::path folder = config_.state("");
  if (auto made = make_private_folder(folder); !made) {
    return std::move(made).error().in("state_dir");
  }
  auto lock = handed ? StateLock::take(folder, *std::move(handed)) : StateLock::acquire(folder);
  if (!lock) return std::move(lock).error().in("state_dir");
  lock_ = std::make_unique<StateLock>(*std::move(lock));
  if (auto warning = volatile_filesystem_warning(folder)) {
    log_.warning("state_volatile", *warning);
  }
  SqliteStore::Options options{config_.state(config_.store_sqlite),
                               config_.state(config_.encryption_key_file)};
  auto store = SqliteStore::open(std::move(options), loop_.address(), log_);
  if (!store) return std::move(store).error().in("store");
  store_ = *std::move(store);
  return Unit{};
}

Result<> ControlPlane::open_events() {
  std::vector<EventLog::Listener> listeners;
  if (config_.webhook) {
    std::string secret;
    if (config_.webhook->secret_file) {
      auto read = read_secret(config_.file(*config_.webhook->secret_file));
      if (!read) return std::move(read).error().in("events.webhook.secret_file");
      secret = *std::move(read);
    }
    CurlHttpClient::Options http;
    http.user_agent = user_agent();
    webhook_http_ = std::make_unique<CurlHttpClient>(loop_.uv(), std::move(http));
    webhook_ = std::make_unique<Webhook>(*config_.webhook, std::move(secret), *webhook_http_,
                                         loop_.clock(), log_);
    listeners.emplace_back([this](const Event& event) { webhook_->tell(event); });
  }
  if (config_.hook) {
    HookConfig hook = *config_.hook;
    hook.program = config_.file(hook.program).string();
    // It may be mended while we serve; its absence stops nobody.
    if (auto program = check_program(hook.program); !program) {
      log_.error("hook_unusable", program.error().message);
    }
    hook_ = std::make_unique<HookProgram>(std::move(hook), loop_.uv(), loop_.clock(), log_);
    listeners.emplace_back([this](const Event& event) { hook_->tell(event); });
  }
  events_ = std::make_unique<EventLog>(*store_, std::move(listeners), loop_.clock(), log_);
  watch_ = std::make_unique<Watch>(*events_, log_);
  store_->on_quarantined([this](const std::string& name, const std::string& cause) {
    Event event;
    event.kind = event_kind::kQuarantined;
    event.name = name;
    event.text = "its stored certificate cannot be used and was set aside: " + cause;
    events_->tell(std::move(event));
  });
  return Unit{};
}

Result<> ControlPlane::open_policy() {
  auto allowlist = load_allowlist(config_, log_);
  if (!allowlist) return std::move(allowlist).error().in("on_demand.allow_files");
  std::unique_ptr<AskEndpoint> ask;
  if (config_.on_demand.ask) {
    const Config::Ask& from = *config_.on_demand.ask;
    if (from.token_file && is_clear_to_elsewhere(from.url)) {
      log_.warning("ask_token_in_clear",
                   "on_demand.ask sends its token over plain HTTP: use https:// unless the network "
                   "between is yours alone");
    }
    AskEndpoint::Options options;
    options.url = from.url;
    options.timeout = from.timeout;
    options.max_concurrent = static_cast<size_t>(from.max_concurrent);
    options.send_reason = from.send_reason;
    if (from.token_file) {
      auto token = read_token(config_.file(*from.token_file));
      if (!token) return token.error();
      options.bearer_token = *std::move(token);
    }
    CurlHttpClient::Options http;
    http.user_agent = user_agent();
    http.max_connections_per_host = static_cast<long>(from.max_concurrent);
    ask_http_ = std::make_unique<CurlHttpClient>(loop_.uv(), std::move(http));
    ask = std::make_unique<AskEndpoint>(std::move(options), *ask_http_, loop_.clock(), log_);
  }
  Policy::Options options;
  if (const auto& from = config_.on_demand.ask) {
    options.positive_ttl = from->positive_ttl;
    options.negative_ttl = from->negative_ttl;
    options.stale_ttl = from->stale_ttl;
  }
  policy_ = std::make_unique<Policy>(options, *std::move(allowlist), std::move(ask), *store_,
                                     loop_.clock(), log_);
  return Unit{};
}

Result<> ControlPlane::open_issuers() {
  const Config::OnDemand& on_demand = config_.on_demand;
  std::vector<Budget::Issuer> limited;
  OrderQueue::Options places;
  places.max_orders = static_cast<size_t>(on_demand.max_orders);
  for (const Config::Issuer& from : config_.issuers) {
    limited.push_back({from.name, limits_of(from).limits(), !from.authority});
    places.max_per_issuer.push_back(static_cast<size_t>(from.max_orders));
  }
  budget_ = std::make_unique<Budget>(std::move(limited), rate_of(on_demand.throttle),
                                     rate_of(on_demand.per_registered_domain));
  keeper_ = std::make_unique<BudgetKeeper>(*budget_, *store_, loop_.clock(), log_);
  queue_ = std::make_unique<OrderQueue>(std::move(places), *budget_, loop_.clock());
  for (size_t i = 0; i < config_.issuers.size(); ++i) {
    const Config::Issuer& from = config_.issuers[i];
    if (from.authority) {
      issuers_.push_back(open_authority(from));
      continue;
    }
    std::string eab_key;
    if (const auto& eab = from.eab) {
      auto key = read_eab_key(config_.file(eab->hmac_key_file));
      if (!key) return std::move(key).error().in("issuer " + from.name);
      eab_key = *std::move(key);
    }
    sources_.push_back(std::make_unique<AcmeSource>(
        config_, i, std::move(eab_key),
        AcmeSource::Parts{loop_, *store_, challenges_, *budget_, *keeper_, *events_, log_,
                          dns_proofs_.get()}));
    issuers_.push_back(sources_.back().get());
  }
  desk_ = std::make_unique<OrderDesk>(issuers_, *budget_, *keeper_, *queue_, loop_.clock(), log_);
  desk_->on_health = [this](const std::string& issuer, const Error* why) {
    Event event;
    event.kind = why != nullptr ? event_kind::kIssuerUnavailable : event_kind::kIssuerAvailable;
    event.issuer = issuer;
    event.text = why != nullptr ? why->message : "it works again";
    events_->tell(std::move(event));
  };
  return open_acme_server();
}

void ControlPlane::open_issuances() {
  prefetcher_ = std::make_unique<Prefetcher>(
      Prefetcher::Options(),
      [this](const ServerName& name, Prefetcher::Done done) {
        certificates_->join(name, Lane::kPrefetch,
                            [done = std::move(done)](const Result<CertificatePtr>& outcome) {
                              done(outcome ? nullptr : &outcome.error());
                            });
      },
      loop_.clock());
  twins_ = std::make_unique<Prefetcher>(
      Prefetcher::Options(),
      [this](const ServerName& name, Prefetcher::Done done) {
        rsa_certificates_->join(name, Lane::kPrefetch,
                                [done = std::move(done)](const Result<CertificatePtr>& outcome) {
                                  done(outcome ? nullptr : &outcome.error());
                                });
      },
      loop_.clock());
  ledger_ = std::make_unique<Ledger>(*store_, loop_.clock(), log_);
  Issuances::Parts parts{
      .store = *store_,
      .cache = cache_,
      .ledger = *ledger_,
      .order = [this, patience = config_.on_demand.park_timeout](
                   OrderJob job, Want& want,
                   bool& began) { return desk_->order(std::move(job), want, patience, began); },
      .later = [this](const ServerName& name,
                      Millis delay) { prefetcher_->add(name, Prefetcher::From::kVisit, delay); },
      .events = *events_,
      .clock = loop_.clock(),
      .log = log_};
  parts.await_staple = [this](SlotName name, CertificatePtr certificate) {
    return staples_->with_staple(std::move(name.name), name.slot, std::move(certificate),
                                 kStaplePatience);
  };
  if (config_.rsa == RsaTwins::kAlways) {
    parts.obtained_main = [this](const ServerName& name) {
      twins_->add(name, Prefetcher::From::kOperator);
    };
  }
  issuances_ = std::make_unique<Issuances>(std::move(parts), config_.renewal);
  Renewals::Parts renewing{.store = *store_,
                           .policy = *policy_,
                           .ledger = *ledger_,
                           .issuances = *issuances_,
                           .cache = cache_,
                           .sources = {},
                           .events = *events_,
                           .clock = loop_.clock(),
                           .log = log_};
  renewing.is_managed = [managed = managed_set(config_)](const ServerName& name) {
    return managed.contains(name);
  };
  renewing.is_configured = [this](const ServerName& name) {
    const CacheHit hit = cache_.look_up(name, WallTime::min());
    return hit.configured && hit.certificate->covers(name);
  };
  renewing.twins = config_.rsa != RsaTwins::kNever;
  renewing.sources = issuers_;
  renewals_ = std::make_unique<Renewals>(Renewals::Options(), std::move(renewing));
}

void ControlPlane::open_gates() {
  Coordinator::Options options;
  options.refuse_denied = config_.on_demand.refuse_denied;
  options.expired = expired_policy(config_.expired);
  options.http_fallback = config_.http_fallback;
  if (config_.on_demand.ask) options.recheck_every = config_.on_demand.ask->positive_ttl;
  Coordinator::Parts parts{
      .store = *store_,
      .policy = *policy_,
      .budget = *budget_,
      .keeper = *keeper_,
      .cache = cache_,
      .ledger = *ledger_,
      .issuances = *issuances_,
      .later = [this](const ServerName& name,
                      Millis delay) { prefetcher_->add(name, Prefetcher::From::kVisit, delay); },
      .stand_in = stand_in_for,
      .clock = loop_.clock(),
      .log = log_};
  parts.proves_wildcards = [this](const GrantPtr& grant) { return desk_->proves_wildcards(grant); };
  parts.loaded = [this](const ServerName& name, Slot slot, const CertificatePtr& certificate) {
    staples_->see(name, slot, certificate);
  };
  coordinator_ = std::make_unique<Coordinator>(options, std::move(parts));
  // What is new is due for its CA's word on when to renew it.
  coordinator_->on_stored = [this](const ServerName& name, Slot slot,
                                   const CertificatePtr& certificate) {
    renewals_->look_soon();
    staples_->see(name, slot, certificate);
    if (exporter_ != nullptr) exporter_->stored(name, slot, certificate);
  };
  const auto max_names = static_cast<size_t>(config_.on_demand.max_parked);
  certificates_ = std::make_unique<Gate<CertificatePtr>>(
      [this](ServerName name, Want& want) { return obtain(std::move(name), Slot::kMain, want); },
      max_names);
  rsa_certificates_ = std::make_unique<Gate<CertificatePtr>>(
      [this](ServerName name, Want& want) { return obtain(std::move(name), Slot::kRsa, want); },
      max_names);
  served_names_ = std::make_unique<Gate<Coordinator::Plain>>(
      [this](ServerName name, Want& want) {
        return coordinator_->may_be_served(std::move(name), want);
      },
      max_names);
  rechecks_ = std::make_unique<Gate<Unit>>(
      [this](ServerName name, Want& want) { return coordinator_->recheck(std::move(name), want); },
      max_names);
}

}  // namespace latchkey::edge
