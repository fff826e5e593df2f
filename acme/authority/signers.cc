#include "acme/authority/signers.h"

#include <algorithm>

namespace latchkey::acme {
namespace {

using std::chrono::seconds;

// For clients whose clocks are behind: certificates begin so long before they are made.
constexpr seconds kBackdate = std::chrono::hours(1);
constexpr size_t kMaxAuthorityInName = 32;  // a common name has 64 characters at most

seconds life_of(const Signer& signer) {
  return signer.row.not_after - signer.row.not_before;
}

seconds backdate(seconds life) {
  return std::min(kBackdate, life / 10);
}

bool has_begun(const Signer& signer, WallTime now) {
  return now >= signer.row.not_before - backdate(life_of(signer));
}

std::string subject_of(const std::string& authority, bool root, const PrivateKey& key) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text = authority.substr(0, kMaxAuthorityInName);
  text += root ? " Root " : " Intermediate ";
  // Keys have subjects of their own, so that no client mixes chains up.
  const std::string identifier = key_identifier(key).substr(0, 4);
  for (const char c : identifier) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[c & 15];
  }
  return text;
}

}  // namespace

Signers::Signers(std::string authority, const Lifetimes& lifetimes, std::string status_url,
                 bool guard)
    : authority_(std::move(authority)),
      lifetimes_(lifetimes),
      status_url_(std::move(status_url)),
      guard_(guard) {}

Result<> Signers::add(AuthorityKey row) {
  auto key = private_key_from_der(row.key_der);
  if (!key) {
    return Error{ErrorCode::kInvalid, "CA key " + std::to_string(row.id) + " of authority \"" +
                                          authority_ + "\" does not parse: " + key.error().message +
                                          "; restore a backup of the database"};
  }
  row.key_der.clear();
  Signer signer;
  signer.issuer.subject = common_name(row.certificate);
  signer.issuer.key_identifier = key_identifier(*key);
  signer.issuer.key = *std::move(key);
  if (!row.link.empty()) signer.linked_by = issuer_common_name(row.link);
  const int64_t id = row.id;
  signer.row = std::move(row);
  signers_.insert_or_assign(id, std::move(signer));
  return Unit{};
}

void Signers::forget_ended(WallTime by) {
  std::erase_if(signers_, [by](const auto& entry) { return entry.second.row.not_after <= by; });
}

const Signer* Signers::find(int64_t id) const {
  const auto at = signers_.find(id);
  return at == signers_.end() ? nullptr : &at->second;
}

const Signer* Signers::root(WallTime now) const {
  return newest(true, now);
}

const Signer* Signers::intermediate(WallTime now) const {
  return newest(false, now);
}

const Signer* Signers::newest(bool root, WallTime now) const {
  for (auto at = signers_.rbegin(); at != signers_.rend(); ++at) {
    const Signer& signer = at->second;
    if (signer.row.root != root || !has_begun(signer, now)) continue;
    const Signer* const parent = root ? &signer : find(signer.row.parent);
    if (parent != nullptr && has_begun(*parent, now)) return &signer;
  }
  return nullptr;
}

const Signer* Signers::predecessor(const Signer& signer) const {
  if (signer.row.link.empty()) return nullptr;
  const auto at = std::find_if(signers_.begin(), signers_.end(), [&](const auto& entry) {
    return entry.second.issuer.subject == signer.linked_by;
  });
  return at == signers_.end() ? nullptr : &at->second;
}

WallTime Signers::due_at(const Signer& signer) const {
  Lifetimes own = lifetimes_;
  (signer.row.root ? own.root : own.intermediate) = life_of(signer);
  seconds left = signer.row.root ? own.root_window() : own.intermediate_window();
  // Its life may come from a configuration that has changed since.
  const seconds needed = signer.row.root
                             ? lifetimes_.intermediate + lifetimes_.intermediate_margin()
                             : lifetimes_.leaf + lifetimes_.leaf_margin();
  if (guard_) left = std::max(left, needed);
  return signer.row.not_after - left;
}

bool Signers::root_is_due(WallTime now) const {
  const Signer* const signer = root(now);
  return signer == nullptr || now >= due_at(*signer);
}

bool Signers::intermediate_is_due(WallTime now) const {
  const Signer* const signer = intermediate(now);
  return signer == nullptr || now >= due_at(*signer);
}

AuthorityKey Signers::make_root(WallTime now) const {
  return make(now, true, nullptr, root(now));
}

AuthorityKey Signers::make_intermediate(WallTime now) const {
  return make(now, false, root(now), intermediate(now));
}

AuthorityKey Signers::make(WallTime now, bool root, const Signer* parent,
                           const Signer* before) const {
  const PrivateKey key = generate_p256_key();
  const seconds life = root ? lifetimes_.root : lifetimes_.intermediate;
  AuthorityKey row;
  row.authority = authority_;
  row.root = root;
  row.not_before = now;
  row.not_after = now + life;
  if (parent != nullptr) {
    row.parent = parent->row.id;
    if (guard_) row.not_after = std::min(row.not_after, parent->row.not_after);
  }
  CaForm form;
  form.subject = subject_of(authority_, root, key);
  form.key = key;
  form.not_before = now - backdate(row.not_after - row.not_before);
  form.not_after = row.not_after;
  form.path_length = root ? -1 : 1;  // one: what links the next intermediate to this one
  const auto set_places = [&](const Signer* by) {
    if (by == nullptr || status_url_.empty()) return;
    form.crl_url = status_url_ + "/crl/" + std::to_string(by->row.id);
    form.issuer_url = status_url_ + "/issuer/" + std::to_string(by->row.id);
  };
  set_places(parent);
  row.certificate = make_ca_certificate(form, parent == nullptr ? nullptr : &parent->issuer);
  if (before != nullptr && before->row.not_after > now) {
    form.not_after = std::min(row.not_after, before->row.not_after);
    form.path_length = root ? 2 : 0;
    set_places(before);
    row.link = make_ca_certificate(form, &before->issuer);
  }
  row.key_der = private_key_to_der(key);
  return row;
}

bool Signers::outlives(const Signer& signer, WallTime not_after) const {
  return !guard_ || not_after <= signer.row.not_after;
}

std::vector<Chain> Signers::chains(const std::string& leaf, int64_t signer_id,
                                   WallTime not_after) const {
  std::vector<Chain> out;
  const Signer* const signer = find(signer_id);
  if (signer == nullptr) return out;
  const Chain direct{leaf, signer->row.certificate};
  // A link ends with the older of the two keys.
  const auto linked = [&](const Signer* to) -> const Signer* {
    const Signer* const before = to == nullptr ? nullptr : predecessor(*to);
    return before != nullptr && not_after <= before->row.not_after ? before : nullptr;
  };
  // Clients that trust only the root before this one come first: the others do not mind the link.
  const Signer* const root = find(signer->row.parent);
  if (linked(root) != nullptr) {
    Chain with_link = direct;
    with_link.push_back(root->row.link);
    out.push_back(std::move(with_link));
  }
  out.push_back(direct);
  if (const Signer* const before = linked(signer); before != nullptr) {
    out.push_back(Chain{leaf, signer->row.link, before->row.certificate});
  }
  return out;
}

}  // namespace latchkey::acme
