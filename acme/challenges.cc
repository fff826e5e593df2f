#include "acme/challenges.h"

#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "acme/challenge_certificate.h"
#include "acme/ip_identifier.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxToken = 256;  // bytes; longer ones are never offered

// Name, token ("" for TLS-ALPN-01), number of the offer. Of several offers for the same question
// the newest answers.
using Key = std::tuple<std::string, std::string, uint64_t>;

// The newest entry for a question; the end if there is none.
template <typename Map>
typename Map::const_iterator newest(const Map& map, const std::string& name,
                                    const std::string& token) {
  const auto after = map.upper_bound(Key(name, token, UINT64_MAX));
  if (after == map.begin()) return map.end();
  const auto last = std::prev(after);
  const bool found = std::get<0>(last->first) == name && std::get<1>(last->first) == token;
  return found ? last : map.end();
}

}  // namespace

struct ChallengeTable::State {
  std::mutex mutex;
  uint64_t next = 0;                           // guarded by mutex
  std::map<Key, CertificatePtr> certificates;  // guarded by mutex
  std::map<Key, std::string> responses;        // guarded by mutex
};

struct ChallengeTable::Offer::Entry {
  Entry(const std::shared_ptr<State>& of, Key k) : state(of), key(std::move(k)) {}
  ~Entry() {
    const std::shared_ptr<State> table = state.lock();
    if (table == nullptr) return;
    CertificatePtr certificate;  // dies outside the lock
    std::lock_guard lock(table->mutex);
    if (auto node = table->certificates.extract(key)) certificate = std::move(node.mapped());
    table->responses.erase(key);
  }
  Entry(const Entry&) = delete;

  const std::weak_ptr<State> state;
  const Key key;
};

ChallengeTable::Offer::Offer() = default;
ChallengeTable::Offer::Offer(std::unique_ptr<Entry> entry) : entry_(std::move(entry)) {}
ChallengeTable::Offer::Offer(Offer&&) noexcept = default;
ChallengeTable::Offer& ChallengeTable::Offer::operator=(Offer&&) noexcept = default;
ChallengeTable::Offer::~Offer() = default;

ChallengeTable::ChallengeTable() : state_(std::make_shared<State>()) {}
ChallengeTable::~ChallengeTable() = default;

Result<ChallengeTable::Offer> ChallengeTable::offer_tls_alpn(ServerName name,
                                                             std::string_view key_authorization) {
  Result<CertificatePtr> certificate = make_challenge_certificate(name, key_authorization);
  if (!certificate) return std::move(certificate).error();
  const ServerName asked_by = name.is_ip() ? reverse_name(name) : std::move(name);
  std::lock_guard lock(state_->mutex);
  Key key(asked_by.text(), "", ++state_->next);
  state_->certificates.emplace(key, *std::move(certificate));
  return Offer(std::make_unique<Offer::Entry>(state_, std::move(key)));
}

ChallengeTable::Offer ChallengeTable::offer_http(ServerName name, std::string token,
                                                 std::string key_authorization) {
  std::lock_guard lock(state_->mutex);
  Key key(name.text(), std::move(token), ++state_->next);
  state_->responses.emplace(key, std::move(key_authorization));
  return Offer(std::make_unique<Offer::Entry>(state_, std::move(key)));
}

CertificatePtr ChallengeTable::find_tls_alpn(const ServerName& name) {
  std::lock_guard lock(state_->mutex);
  const auto found = newest(state_->certificates, name.text(), "");
  if (found == state_->certificates.end()) return nullptr;
  tls_alpn_answers.add();
  return found->second;
}

std::optional<std::string> ChallengeTable::find_http(const ServerName& name,
                                                     std::string_view token) {
  if (token.empty() || token.size() > kMaxToken) return std::nullopt;
  std::lock_guard lock(state_->mutex);
  const auto found = newest(state_->responses, name.text(), std::string(token));
  if (found == state_->responses.end()) return std::nullopt;
  http_answers.add();
  return found->second;
}

}  // namespace latchkey::acme
