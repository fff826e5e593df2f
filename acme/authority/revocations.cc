#include "acme/authority/revocations.h"

#include <algorithm>
#include <vector>

#include "acme/authority/ocsp_responder.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr seconds kCrlLife = 24h;
constexpr seconds kAnswerLife = 4h;  // of an OCSP answer
// They begin so long ago, for clients whose clocks are behind.
constexpr seconds kBackdate = 5min;
// A long list is made anew no sooner than after that time: it takes a while.
constexpr size_t kLong = 20'000;
constexpr seconds kLongLasts = 10s;

bool is_about(const OcspQuestion& question, const Signer& signer) {
  return question.key_hash == key_hash(signer.issuer.key, question.sha256) &&
         question.name_hash == subject_hash(signer.row.certificate, question.sha256);
}

}  // namespace

Revocations::Revocations(std::string authority, const Signers& signers, AuthorityStore& store,
                         Clock& clock)
    : authority_(std::move(authority)), signers_(signers), store_(store), clock_(clock) {}

Task<bool> Revocations::revoke(std::string serial, int reason) {
  auto answer = std::make_shared<Pending<bool>>();
  storing_.spawn(store_revocation(std::move(serial), reason, answer));
  Pending<bool>& waiter = *answer;  // named: g++ 12 would copy `*answer`
  const Result<bool> revoked = co_await waiter;
  co_return revoked;
}

Task<> Revocations::store_revocation(std::string serial, int reason,
                                     std::weak_ptr<Pending<bool>> waiting) {
  const WallTime now = clock_.wall_now();
  std::string authority = authority_;
  const Result<bool> revoked =
      co_await store_.revoke_issued(std::move(authority), std::move(serial), now, reason).result();
  // Also after an error: it may be on disk all the same.
  if (!revoked || *revoked) ++revocations_;
  if (const auto to = waiting.lock()) to->resolve(revoked);
  co_return Unit{};
}

bool Revocations::is_fresh(const Crl& crl) const {
  if (crl.der.empty()) return false;
  const WallTime now = clock_.wall_now();
  if (now < crl.made_at || now >= crl.made_at + kCrlLife / 2) return false;
  if (crl.revocations == revocations_) return true;
  return crl.entries > kLong && now < crl.made_at + kLongLasts;
}

Task<std::string> Revocations::crl(int64_t signer) {
  if (signers_.find(signer) == nullptr) {
    co_return Error{ErrorCode::kNotFound, "there is no signer " + std::to_string(signer)};
  }
  auto& place = crls_[signer];
  if (place == nullptr) place = std::make_unique<Crl>();
  Crl& crl = *place;  // stays while one is being made
  // The one that is being made may miss the latest revocation; the next one does not.
  for (int i = 0; i < 2 && !is_fresh(crl); ++i) {
    co_await crl.making.join([this, signer] { return make(signer); });
  }
  co_return crl.der;
}

Task<> Revocations::make(int64_t signer_id) {
  const WallTime now = clock_.wall_now();
  const uint64_t revocations = revocations_;
  // RFC 5280, 3.3: what has ended is on one list after its end.
  const std::vector<IssuedCertificate> rows =
      co_await store_.list_revoked(authority_, signer_id, now - kCrlLife);
  const Signer* const signer = signers_.find(signer_id);
  if (signer == nullptr) co_return Error{ErrorCode::kNotFound, "that signer has ended"};
  std::vector<Revoked> revoked;
  revoked.reserve(rows.size());
  for (const IssuedCertificate& row : rows) {
    if (row.revoked_at) revoked.push_back(Revoked{row.serial, *row.revoked_at, row.reason});
  }
  // Numbers grow also over a restart: they begin with the time.
  const auto least = static_cast<uint64_t>(now.time_since_epoch().count()) * 1000;
  last_number_ = std::max(last_number_ + 1, least);
  Crl& crl = *crls_.at(signer_id);
  const WallTime begins = std::max(now - kBackdate, signer->row.not_before);
  crl.der = make_crl(signer->issuer, revoked, begins, now + kCrlLife, last_number_);
  crl.made_at = now;
  crl.entries = revoked.size();
  crl.revocations = revocations;
  co_return Unit{};
}

Task<std::string> Revocations::ocsp(std::string request_der) {
  const auto request = parse_ocsp_request(request_der);
  if (!request) co_return make_ocsp_error(OcspError::kMalformed);
  // Who signed the first of them answers, for his own.
  const Signer* signer = nullptr;
  for (const auto& [id, one] : signers_.all()) {
    if (is_about(request->questions.front(), one)) signer = &one;
  }
  if (signer == nullptr) co_return make_ocsp_error(OcspError::kUnauthorized);
  const int64_t signer_id = signer->row.id;
  std::vector<OcspWord> words;
  words.reserve(request->questions.size());
  for (const OcspQuestion& question : request->questions) {
    OcspWord word;
    word.cert_id = question.cert_id;
    std::string authority = authority_;
    std::string serial = question.serial;
    const auto found =
        co_await store_.find_issued(std::move(authority), std::move(serial)).result();
    if (!found) co_return make_ocsp_error(OcspError::kTryLater);
    signer = signers_.find(signer_id);
    if (signer == nullptr) co_return make_ocsp_error(OcspError::kUnauthorized);
    const std::optional<IssuedCertificate>& row = *found;
    if (row && row->signer == signer_id && is_about(question, *signer)) {
      word.status = row->revoked_at ? CertStatus::kRevoked : CertStatus::kGood;
      word.revoked_at = row->revoked_at.value_or(WallTime{});
      word.reason = row->reason;
    }
    words.push_back(std::move(word));
  }
  const WallTime now = clock_.wall_now();
  const WallTime begins = std::max(now - kBackdate, signer->row.not_before);
  co_return make_ocsp_response(signer->issuer, words, request->nonce, begins, now + kAnswerLife);
}

void Revocations::forget_ended() {
  std::erase_if(crls_, [this](const auto& entry) {
    return signers_.find(entry.first) == nullptr && !entry.second->making.flying();
  });
}

void Revocations::outdate() {
  for (const auto& [signer, crl] : crls_) crl->made_at = WallTime{};
}

}  // namespace latchkey::acme
