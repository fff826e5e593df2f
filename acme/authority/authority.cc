#include "acme/authority/authority.h"

#include <algorithm>
#include <map>

#include "acme/authority/ocsp_responder.h"
#include "acme/jws.h"
#include "acme/single_flight.h"
#include "base/task_set.h"
#include "cache/pem.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr seconds kLongestBackdate = 1h;  // of leaves, for clients whose clocks are behind
constexpr seconds kCrlLife = 24h;
constexpr seconds kAnswerLife = 4h;  // of an OCSP answer
constexpr seconds kSweepEvery = 10min;
constexpr seconds kKeepEnded = std::chrono::days(7);  // ended certificates, for who asks about them
constexpr size_t kMaxNames = 100;
constexpr int kSweepsAtOnce = 20;

std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

}  // namespace

struct Authority::Impl {
  Impl(AuthorityOptions options_in, AuthorityStore& store_in, Clock& clock_in, Log& log_in)
      : options(std::move(options_in)),
        store(store_in),
        clock(clock_in),
        log(log_in),
        signers(options.name, options.lifetimes, options.guard) {}

  // Nothing is to be done before the next signature.
  bool ready(WallTime now) const {
    return loaded && !signers.root_is_due(now) && !signers.intermediate_is_due(now);
  }
  Task<> load();
  Task<> add(AuthorityKey key);
  Task<> replace_what_is_due();
  void sweep_in_time();
  Task<> sweep(WallTime now);
  Task<> keep();
  Task<> rotate(bool root);
  Result<IssuedCertificate> make(const LeafRequest& request);

  const AuthorityOptions options;
  AuthorityStore& store;
  Clock& clock;
  Log& log;
  Signers signers;
  bool loaded = false;
  WallTime swept_at{};
  struct Crl {
    std::string der;
    WallTime refresh_at;
  };
  std::map<int64_t, Crl> crls;  // by signer
  uint64_t last_crl_number = 0;
  uint64_t revocations = 0;  // so many have been stored: a CRL that was begun before is old
  SingleFlight<Unit> keeping;
  TaskSet housekeeping;  // last, so that it ends first
};

Task<> Authority::Impl::load() {
  const std::vector<AuthorityKey> rows = co_await store.load_authority_keys(options.name);
  Signers found(options.name, options.lifetimes, options.guard);
  for (const AuthorityKey& row : rows) {
    if (auto added = found.add(row); !added) co_return std::move(added).error();
  }
  signers = std::move(found);
  signers.forget_ended(clock.wall_now());
  loaded = true;
  co_return Unit{};
}

Task<> Authority::Impl::add(AuthorityKey key) {
  key.id = co_await store.put_authority_key(key);
  const bool root = key.root;
  const int64_t id = key.id;
  auto added = signers.add(std::move(key));
  if (!added) co_return std::move(added).error();
  const Signer& signer = *signers.find(id);
  log.info(root ? "authority_root" : "authority_intermediate",
           root ? "a new root certificate: clients must trust it before the one before it ends"
                : "a new intermediate certificate signs from now on",
           {{"authority", options.name},
            {"subject", signer.issuer.subject},
            {"until", signer.row.not_after.time_since_epoch().count()}});
  co_return Unit{};
}

Task<> Authority::Impl::replace_what_is_due() {
  const WallTime now = clock.wall_now();
  if (signers.root_is_due(now)) {
    AuthorityKey root = signers.make_root(now);
    co_await add(std::move(root));
  }
  if (signers.intermediate_is_due(now)) {
    AuthorityKey intermediate = signers.make_intermediate(now);
    co_await add(std::move(intermediate));
  }
  signers.forget_ended(now);
  co_return Unit{};
}

void Authority::Impl::sweep_in_time() {
  const WallTime now = clock.wall_now();
  if (now < swept_at + kSweepEvery) return;
  swept_at = now;
  housekeeping.spawn(sweep(now));
}

Task<> Authority::Impl::sweep(WallTime now) {
  for (int i = 0; i < kSweepsAtOnce; ++i) {
    const auto done = co_await store.sweep_authority(options.name, now, now - kKeepEnded).result();
    if (!done) {
      log.warning("authority_sweep_failed", "what has ended could not be deleted",
                  {{"authority", options.name}, {"cause", done.error().message}});
    }
    if (!done || *done) break;
  }
  co_return Unit{};
}

Task<> Authority::Impl::keep() {
  if (!loaded) co_await load();
  const auto replaced = co_await replace_what_is_due().result();
  if (!replaced) {
    // The one that signs goes on while it outlives what it signs: sign() sees to that.
    if (signers.intermediate() == nullptr) co_return replaced.error();
    log.error("authority_rotation_failed",
              "a CA certificate is due and cannot be replaced; the old one signs while it can",
              {{"authority", options.name}, {"cause", replaced.error().message}});
  }
  sweep_in_time();
  co_return Unit{};
}

Task<> Authority::Impl::rotate(bool root) {
  if (!loaded) co_await load();
  const WallTime now = clock.wall_now();
  if (root || signers.root_is_due(now)) {
    AuthorityKey made = signers.make_root(now);
    co_await add(std::move(made));
  }
  AuthorityKey made = signers.make_intermediate(now);
  co_await add(std::move(made));
  co_return Unit{};
}

Result<IssuedCertificate> Authority::Impl::make(const LeafRequest& request) {
  if (request.names.empty() || request.names.size() > kMaxNames) {
    return Error{ErrorCode::kInvalid, "a certificate has 1 to 100 names"};
  }
  if (auto good = check_public_key(request.public_key); !good) return std::move(good).error();
  const WallTime now = clock.wall_now();
  const Signer* const signer = signers.intermediate();
  const WallTime not_after = now + options.lifetimes.leaf;
  if (signer == nullptr || !signers.outlives(*signer, not_after)) {
    return Error{ErrorCode::kIo,
                 "authority \"" + options.name +
                     "\" has no intermediate certificate that would outlive a new leaf, since the "
                     "rotation failed: see the log for authority_rotation_failed"};
  }
  LeafForm form;
  form.names = request.names;
  form.public_key = request.public_key;
  form.not_before = now - std::min(kLongestBackdate, options.lifetimes.leaf / 12);
  form.not_after = not_after;
  form.must_staple = request.must_staple;
  if (!options.status_url.empty()) {
    const std::string id = std::to_string(signer->row.id);
    form.ocsp_url = options.status_url + "/ocsp";
    form.crl_url = options.status_url + "/crl/" + id;
    form.issuer_url = options.status_url + "/issuer/" + id;
  }
  auto leaf = make_leaf(form, signer->issuer);
  if (!leaf) return std::move(leaf).error();
  IssuedCertificate out;
  out.authority = options.name;
  out.serial = std::move(leaf->serial);
  out.signer = signer->row.id;
  out.holder = request.holder;
  out.not_before = form.not_before;
  out.not_after = form.not_after;
  out.leaf = std::move(leaf->der);
  return out;
}

Authority::Authority(AuthorityOptions options, AuthorityStore& store, Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(options), store, clock, log)) {}
Authority::~Authority() = default;

Task<> Authority::keep() {
  return impl_->keeping.join([impl = impl_.get()] { return impl->keep(); });
}

void Authority::read_again() {
  impl_->loaded = false;
  impl_->crls.clear();
}

Task<IssuedCertificate> Authority::sign(LeafRequest request) {
  if (!impl_->ready(impl_->clock.wall_now())) co_await keep();
  impl_->sweep_in_time();
  co_return impl_->make(request);
}

Task<Chain> Authority::issue(LeafRequest request) {
  const IssuedCertificate certificate = co_await sign(std::move(request));
  IssuedCertificate row = certificate;
  co_await impl_->store.put_issued(std::move(row), std::nullopt);
  co_return chains(certificate).front();
}

std::vector<Chain> Authority::chains(const IssuedCertificate& certificate) const {
  return impl_->signers.chains(certificate.leaf, certificate.signer, certificate.not_after);
}

Task<bool> Authority::revoke(std::string serial, int reason) {
  const WallTime now = impl_->clock.wall_now();
  const bool revoked =
      co_await impl_->store.revoke_issued(impl_->options.name, serial, now, reason);
  if (revoked) {
    ++impl_->revocations;
    impl_->crls.clear();
  }
  co_return revoked;
}

Task<std::string> Authority::crl(int64_t signer_id) {
  if (!impl_->loaded) co_await keep();
  const WallTime now = impl_->clock.wall_now();
  if (const auto at = impl_->crls.find(signer_id);
      at != impl_->crls.end() && now < at->second.refresh_at) {
    co_return at->second.der;
  }
  if (impl_->signers.find(signer_id) == nullptr) {
    co_return Error{ErrorCode::kNotFound, "there is no signer " + std::to_string(signer_id)};
  }
  const uint64_t revocations = impl_->revocations;
  const std::vector<IssuedCertificate> rows =
      co_await impl_->store.list_revoked(impl_->options.name, signer_id, now);
  const Signer* const signer = impl_->signers.find(signer_id);
  if (signer == nullptr) co_return Error{ErrorCode::kNotFound, "that signer has ended"};
  std::vector<Revoked> revoked;
  revoked.reserve(rows.size());
  for (const IssuedCertificate& row : rows) {
    if (row.revoked_at) revoked.push_back(Revoked{row.serial, *row.revoked_at, row.reason});
  }
  // Numbers grow also over a restart: they begin with the time.
  const auto least = static_cast<uint64_t>(now.time_since_epoch().count()) * 1000;
  impl_->last_crl_number = std::max(impl_->last_crl_number + 1, least);
  std::string der = make_crl(signer->issuer, revoked, now, now + kCrlLife, impl_->last_crl_number);
  if (revocations == impl_->revocations) {
    impl_->crls.insert_or_assign(signer_id, Impl::Crl{der, now + kCrlLife / 2});
  }
  co_return der;
}

Task<std::string> Authority::ocsp(std::string request_der) {
  if (!impl_->loaded) co_await keep();
  const auto request = parse_ocsp_request(request_der);
  if (!request) co_return make_ocsp_error(OcspError::kMalformed);
  // Who signed the first of them answers, for his own.
  const Signer* signer = nullptr;
  const auto asked_about = [](const Signer& one, const OcspQuestion& question) {
    return question.key_hash == key_hash(one.issuer.key, question.sha256) &&
           question.name_hash == subject_hash(one.row.certificate, question.sha256);
  };
  for (const auto& [id, one] : impl_->signers.all()) {
    if (asked_about(one, request->questions.front())) signer = &one;
  }
  if (signer == nullptr) co_return make_ocsp_error(OcspError::kUnauthorized);
  const int64_t signer_id = signer->row.id;
  std::vector<OcspWord> words;
  words.reserve(request->questions.size());
  for (const OcspQuestion& question : request->questions) {
    OcspWord word;
    word.cert_id = question.cert_id;
    const Signer* const now_signer = impl_->signers.find(signer_id);
    if (now_signer != nullptr && asked_about(*now_signer, question)) {
      std::string authority = impl_->options.name;
      std::string serial = question.serial;
      const auto found = co_await impl_->store.find_issued(authority, serial).result();
      if (!found) co_return make_ocsp_error(OcspError::kTryLater);
      const std::optional<IssuedCertificate>& row = *found;
      if (row && row->signer == signer_id) {
        word.status = row->revoked_at ? CertStatus::kRevoked : CertStatus::kGood;
        word.revoked_at = row->revoked_at.value_or(WallTime{});
        word.reason = row->reason;
      }
    }
    words.push_back(std::move(word));
  }
  const Signer* const answering = impl_->signers.find(signer_id);
  if (answering == nullptr) co_return make_ocsp_error(OcspError::kUnauthorized);
  const WallTime now = impl_->clock.wall_now();
  co_return make_ocsp_response(answering->issuer, words, request->nonce, now, now + kAnswerLife);
}

Result<std::string> Authority::issuer_certificate(int64_t signer) const {
  const Signer* const found = impl_->signers.find(signer);
  if (found != nullptr) return found->row.certificate;
  return Error{ErrorCode::kNotFound, "there is no signer " + std::to_string(signer)};
}

bool Authority::is_ours(std::string_view key_identifier) const {
  const auto& all = impl_->signers.all();
  return std::any_of(all.begin(), all.end(), [&](const auto& entry) {
    return entry.second.issuer.key_identifier == key_identifier;
  });
}

Authority::Window Authority::renewal_window(const IssuedCertificate& certificate) const {
  if (certificate.revoked_at) return {*certificate.revoked_at - 1h, *certificate.revoked_at};
  const seconds life = certificate.not_after - certificate.not_before;
  return {certificate.not_before + life * 62 / 100, certificate.not_before + life * 3 / 4};
}

std::string Authority::roots_pem() const {
  std::string out;
  const auto& all = impl_->signers.all();
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    if (at->second.row.root) out += certificate_pem(at->second.row.certificate);
  }
  return out;
}

Task<> Authority::rotate(bool root) {
  while (impl_->keeping.flying()) co_await keep();  // its flight is not ours
  co_await impl_->keeping.join([impl = impl_.get(), root] { return impl->rotate(root); });
  co_return Unit{};
}

std::vector<Authority::SignerStatus> Authority::signers() const {
  std::vector<SignerStatus> out;
  const auto& all = impl_->signers.all();
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    const Signer& signer = at->second;
    SignerStatus status;
    status.id = signer.row.id;
    status.root = signer.row.root;
    status.active = &signer == impl_->signers.root() || &signer == impl_->signers.intermediate();
    status.subject = signer.issuer.subject;
    status.serial = serial_of(signer.row.certificate);
    status.sha256 = hex(sha256(signer.row.certificate));
    status.not_before = signer.row.not_before;
    status.not_after = signer.row.not_after;
    status.replace_at = impl_->signers.due_at(signer);
    out.push_back(std::move(status));
  }
  return out;
}

const AuthorityOptions& Authority::options() const {
  return impl_->options;
}

}  // namespace latchkey::acme
