#include "edge/control_plane.h"

#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxCaFile = 16 << 20;  // bytes
constexpr size_t kMaxTokenFile = 4096;   // bytes
constexpr long kConnectionsPerCa = 8;    // one is enough for HTTP/2

std::string user_agent() {
  return std::string("latchkey/") + LATCHKEY_VERSION;
}

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

acme::IssuerOptions issuer_options(const Config::Acme& from) {
  acme::IssuerOptions out;
  out.name = from.name;
  out.directory = from.directory;
  out.email = from.email;
  out.accept_terms = from.accept_terms;
  out.challenges.clear();
  for (const std::string& word : from.challenges) {
    out.challenges.push_back(word == "http-01" ? acme::ChallengeType::kHttp01
                                               : acme::ChallengeType::kTlsAlpn01);
  }
  return out;
}

// Is it the CA that is in trouble, and not the name? Then another CA may help.
bool another_issuer_may_help(ErrorCode code) {
  return code == ErrorCode::kIo || code == ErrorCode::kTimeout || code == ErrorCode::kThrottled;
}

}  // namespace

Result<> check_files(const Config& config) {
  if (config.on_demand.ask && config.on_demand.ask->token_file) {
    auto token = read_token(config.file(*config.on_demand.ask->token_file));
    if (!token) return token.error();
  }
  for (const Config::Acme& issuer : config.issuers) {
    if (!issuer.ca_file) continue;
    auto pem = read_file(config.file(*issuer.ca_file), kMaxCaFile);
    if (!pem) return std::move(pem).error().in("issuer " + issuer.name + ": ca_file");
    if (pem->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
      return Error{ErrorCode::kInvalid, "issuer " + issuer.name + ": ca_file: " + *issuer.ca_file +
                                            " holds no certificate in PEM"};
    }
  }
  return Unit{};
}

Result<std::shared_ptr<const Allowlist>> load_allowlist(const Config& config, Log& log) {
  std::vector<std::filesystem::path> files;
  for (const std::string& file : config.on_demand.allow_files) files.push_back(config.file(file));
  std::vector<Allowlist::BadLine> bad;
  auto list = Allowlist::load(config.on_demand.allow, files, bad);
  for (const Allowlist::BadLine& line : bad) {
    log.error("allowlist_bad_line", "an entry is left out: " + line.what, {{"where", line.where}});
  }
  return list;
}

ControlPlane::ControlPlane(const Config& config, Loop& loop, CertificateCache& cache,
                           acme::ChallengeTable& challenges, Log& log)
    : config_(config), loop_(loop), cache_(cache), challenges_(challenges), log_(log) {}

ControlPlane::~ControlPlane() = default;

Result<std::unique_ptr<ControlPlane>> ControlPlane::open(const Config& config, Loop& loop,
                                                         CertificateCache& cache,
                                                         acme::ChallengeTable& challenges,
                                                         Log& log) {
  std::unique_ptr<ControlPlane> plane(new ControlPlane(config, loop, cache, challenges, log));
  if (auto ok = plane->open_state(); !ok) return ok.error();
  if (auto ok = plane->open_policy(); !ok) return ok.error();
  plane->open_issuers();
  return plane;
}

Result<> ControlPlane::open_state() {
  const std::filesystem::path folder = config_.state("");
  if (auto made = make_private_folder(folder); !made) {
    return std::move(made).error().in("state_dir");
  }
  auto lock = StateLock::acquire(folder);
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
    http_clients_.push_back(std::make_unique<CurlHttpClient>(loop_.uv(), std::move(http)));
    ask = std::make_unique<AskEndpoint>(std::move(options), *http_clients_.back(), loop_.clock(),
                                        log_);
    ask_ = ask.get();
  }
  policy_ = std::make_unique<Policy>(*std::move(allowlist), std::move(ask));
  return Unit{};
}

void ControlPlane::open_issuers() {
  for (const Config::Acme& from : config_.issuers) {
    CurlHttpClient::Options http;
    http.user_agent = user_agent();
    http.max_connections_per_host = kConnectionsPerCa;
    if (from.ca_file) http.ca_file = config_.file(*from.ca_file).string();
    http_clients_.push_back(std::make_unique<CurlHttpClient>(loop_.uv(), std::move(http)));
    issuers_.push_back(std::make_unique<acme::AcmeIssuer>(
        issuer_options(from), *http_clients_.back(), loop_.clock(), *store_, challenges_, log_));
  }
  Issuer::Limits limits;
  limits.max_orders = static_cast<size_t>(config_.on_demand.max_orders);
  limits.order_wait = config_.on_demand.park_timeout;
  if (config_.on_demand.ask) limits.denied_ttl = config_.on_demand.ask->negative_ttl;
  issuer_ = std::make_unique<Issuer>(
      limits, *store_, *policy_, cache_,
      [this](ServerName name, int failures) { return order(std::move(name), failures); },
      loop_.clock(), log_);
  const auto max_names = static_cast<size_t>(config_.on_demand.max_parked);
  certificates_ = std::make_unique<Gate<CertificatePtr>>(
      [this](ServerName name) { return issuer_->obtain(std::move(name)); }, max_names);
  served_names_ = std::make_unique<Gate<bool>>(
      [this](ServerName name) { return issuer_->may_be_served(std::move(name)); }, max_names);
}

// The issuers in the order of preference.
Task<Issued> ControlPlane::order(ServerName name, int failures) {
  for (size_t i = 0;; ++i) {
    acme::AcmeIssuer& issuer = *issuers_[i];
    Result<CertificatePtr> certificate = co_await issuer.obtain(name, failures).result();
    if (certificate) {
      Issued issued{*std::move(certificate), issuer.name()};
      co_return issued;
    }
    const bool last = i + 1 == issuers_.size();
    if (last || !another_issuer_may_help(certificate.error().code)) {
      co_return std::move(certificate).error().in("issuer " + issuer.name());
    }
    log_.warning("issuer_failed", "trying the next issuer: " + certificate.error().message,
                 {{"issuer", issuer.name()}, {"name", name.text()}});
  }
}

void ControlPlane::prepare_issuers() {
  for (const auto& issuer : issuers_) tasks_.spawn(prepare(*issuer));
}

Task<> ControlPlane::prepare(acme::AcmeIssuer& issuer) {
  Result<> prepared = co_await store_->self_test().result();
  if (prepared) prepared = co_await issuer.prepare().result();
  if (!prepared) {
    log_.warning("issuer_not_ready",
                 "it is tried again with the first order: " + prepared.error().message,
                 {{"issuer", issuer.name()}});
  }
  co_return Unit{};
}

Result<> ControlPlane::reload(const Config& config) {
  auto allowlist = load_allowlist(config, log_);
  if (!allowlist) return std::move(allowlist).error().in("on_demand.allow_files");
  policy_->replace_allowlist(*std::move(allowlist));
  issuer_->forget_denials();
  return Unit{};
}

void ControlPlane::log_counts() const {
  const auto number = [](const Counter& counter) { return static_cast<int64_t>(counter.value()); };
  const Issuer::Counts& counts = issuer_->counts();
  int64_t asked = 0, orders = 0;
  if (ask_ != nullptr) asked = number(ask_->counts().calls);
  for (const auto& issuer : issuers_) orders += number(issuer->counts().orders);
  log_.info("counts_issuance", "since the start",
            {{"ask_calls", asked},
             {"orders", orders},
             {"obtained", number(counts.obtained)},
             {"failed", number(counts.failed)},
             {"from_store", number(counts.from_store)},
             {"denied", number(counts.denied)},
             {"unknown", number(counts.unknown)},
             {"refused_again", number(counts.refused_again)},
             {"tls_alpn_01_answers", number(challenges_.tls_alpn_answers)},
             {"http_01_answers", number(challenges_.http_answers)}});
}

}  // namespace latchkey::edge
