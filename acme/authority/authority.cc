#include "acme/authority/authority.h"

#include <algorithm>

#include "acme/authority/revocations.h"
#include "acme/jws.h"
#include "acme/single_flight.h"
#include "base/task_set.h"
#include "base/text.h"
#include "cache/pem.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr seconds kLongestBackdate = 1h;  // of leaves, for clients whose clocks are behind
constexpr Millis kLookEvery = 1h;         // at what is due, when nobody signs
constexpr Millis kTryAgain = 5s;          // after a rotation that failed
constexpr seconds kClockJump = 1h;        // in a look's time: then nothing is deleted
constexpr seconds kKeepEnded = std::chrono::days(7);  // ended certificates, for who asks about them
constexpr size_t kMaxNames = 100;

}  // namespace

struct Authority::Impl {
  Impl(AuthorityOptions options_in, AuthorityStore& store_in, Clock& clock_in, Log& log_in)
      : options(std::move(options_in)),
        store(store_in),
        clock(clock_in),
        log(log_in),
        signers(options.name, options.lifetimes, options.status_url, options.guard),
        revocations(options.name, signers, store, clock) {}

  // Nothing is to be done before the next signature; or it failed a moment ago, and the old
  // intermediate can sign.
  bool ready() const {
    const WallTime now = clock.wall_now();
    if (!loaded) return false;
    if (!signers.root_is_due(now) && !signers.intermediate_is_due(now)) return true;
    return clock.now() < next_try && can_sign(now);
  }
  bool can_sign(WallTime now) const {
    const Signer* const signer = signers.intermediate(now);
    return signer != nullptr && signers.outlives(*signer, now + options.lifetimes.leaf);
  }
  Task<> load();
  Task<> add(AuthorityKey key);
  Task<> replace_root();
  Task<> replace_intermediate();
  Task<> keep();
  Task<> rotate(bool root);
  void look_again();
  Task<> look();
  Task<> sweep();
  Result<IssuedCertificate> make(const LeafRequest& request);

  const AuthorityOptions options;
  AuthorityStore& store;
  Clock& clock;
  Log& log;
  Signers signers;
  Revocations revocations;
  bool loaded = false;
  TimePoint next_try{};  // of a rotation that failed
  // When it was last looked at what has ended, by both clocks.
  TimePoint looked_at = clock.now();
  WallTime looked_at_wall = clock.wall_now();
  SingleFlight<Unit> keeping;
  TaskSet housekeeping;  // ends before what it uses
  Alarm next_look;
};

Task<> Authority::Impl::load() {
  const std::vector<AuthorityKey> rows = co_await store.load_authority_keys(options.name);
  Signers found(options.name, options.lifetimes, options.status_url, options.guard);
  for (const AuthorityKey& row : rows) {
    if (auto added = found.add(row); !added) co_return std::move(added).error();
  }
  signers = std::move(found);
  loaded = true;
  look_again();
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

Task<> Authority::Impl::replace_root() {
  const WallTime now = clock.wall_now();
  if (!signers.root_is_due(now)) co_return Unit{};
  AuthorityKey root = signers.make_root(now);
  co_await add(std::move(root));
  co_return Unit{};
}

Task<> Authority::Impl::replace_intermediate() {
  const WallTime now = clock.wall_now();
  if (!signers.intermediate_is_due(now)) co_return Unit{};
  if (signers.root(now) == nullptr) co_return Error{ErrorCode::kIo, "there is no root"};
  AuthorityKey intermediate = signers.make_intermediate(now);
  co_await add(std::move(intermediate));
  co_return Unit{};
}

Task<> Authority::Impl::keep() {
  if (!loaded) co_await load();
  auto replaced = co_await replace_root().result();
  const auto second = co_await replace_intermediate().result();
  if (replaced && !second) replaced = second;
  if (replaced) co_return Unit{};
  next_try = clock.now() + kTryAgain;
  // The one that signs goes on while it outlives what it signs: make() sees to that.
  if (signers.intermediate(clock.wall_now()) == nullptr) co_return replaced.error();
  log.error("authority_rotation_failed",
            "a CA certificate is due and cannot be replaced; the old one signs while it can",
            {{"authority", options.name}, {"cause", replaced.error().message}});
  co_return Unit{};
}

void Authority::Impl::look_again() {
  next_look = clock.after(kLookEvery, [this] {
    housekeeping.spawn(look());
    look_again();
  });
}

Task<> Authority::Impl::look() {
  const auto kept = co_await keeping.join([this] { return keep(); }).result();
  if (!kept) co_return kept.error();
  co_await sweep();
  co_return Unit{};
}

Task<> Authority::Impl::sweep() {
  const WallTime now = clock.wall_now();
  const auto passed = std::chrono::floor<seconds>(clock.now() - looked_at);
  const seconds passed_wall = now - looked_at_wall;
  looked_at = clock.now();
  looked_at_wall = now;
  // What a clock that is wrong calls ended would be gone for good.
  if (passed_wall > passed + kClockJump || passed_wall + kClockJump < passed) {
    log.warning("authority_clock_jumped", "the clock was set; nothing is deleted for an hour",
                {{"authority", options.name}, {"seconds", (passed_wall - passed).count()}});
    co_return Unit{};
  }
  signers.forget_ended(now - kKeepEnded);
  revocations.forget_ended();
  for (;;) {
    const auto done = co_await store.sweep_authority(options.name, now, now - kKeepEnded).result();
    if (!done) {
      log.warning("authority_sweep_failed", "what has ended could not be deleted",
                  {{"authority", options.name}, {"cause", done.error().message}});
      break;
    }
    if (*done) break;
  }
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
  const Signer* const signer = signers.intermediate(now);
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

void Authority::stop() {
  impl_->next_look.reset();
  impl_->loaded = false;
  impl_->revocations.outdate();
}

Task<IssuedCertificate> Authority::sign(LeafRequest request) {
  if (!impl_->ready()) {
    const auto kept = co_await keep().result();
    const bool has_signer = impl_->signers.intermediate(impl_->clock.wall_now()) != nullptr;
    if (!kept && !has_signer) co_return kept.error();
  }
  co_return impl_->make(request);
}

Task<Chain> Authority::issue(LeafRequest request) {
  const IssuedCertificate certificate = co_await sign(std::move(request));
  const std::vector<Chain> found = chains(certificate);
  IssuedCertificate row = certificate;
  co_await impl_->store.put_issued(std::move(row), std::nullopt);
  co_return found.front();
}

std::vector<Chain> Authority::chains(const IssuedCertificate& certificate) const {
  return impl_->signers.chains(certificate.leaf, certificate.signer, certificate.not_after);
}

Task<bool> Authority::revoke(std::string serial, int reason) {
  return impl_->revocations.revoke(std::move(serial), reason);
}

Task<std::string> Authority::crl(int64_t signer) {
  if (!impl_->loaded) co_await keep();
  std::string der = co_await impl_->revocations.crl(signer);
  co_return der;
}

Task<std::string> Authority::ocsp(std::string request) {
  if (!impl_->loaded) co_await keep();
  std::string der = co_await impl_->revocations.ocsp(std::move(request));
  co_return der;
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
  const WallTime now = impl_->clock.wall_now();
  std::string out;
  const auto& all = impl_->signers.all();
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    const AuthorityKey& row = at->second.row;
    if (row.root && now < row.not_after) out += certificate_pem(row.certificate);
  }
  return out;
}

Task<> Authority::rotate(bool root) {
  while (impl_->keeping.flying()) co_await keep();  // its flight is not ours
  co_await impl_->keeping.join([impl = impl_.get(), root] { return impl->rotate(root); });
  co_return Unit{};
}

std::vector<Authority::SignerStatus> Authority::signers() const {
  const WallTime now = impl_->clock.wall_now();
  std::vector<SignerStatus> out;
  const auto& all = impl_->signers.all();
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    const Signer& signer = at->second;
    SignerStatus status;
    status.id = signer.row.id;
    status.root = signer.row.root;
    status.active =
        &signer == impl_->signers.root(now) || &signer == impl_->signers.intermediate(now);
    status.subject = signer.issuer.subject;
    status.serial = serial_of(signer.row.certificate);
    status.sha256 = to_hex(sha256(signer.row.certificate));
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
