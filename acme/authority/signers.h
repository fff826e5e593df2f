#pragma once
#include <map>
#include <string>
#include <vector>

#include "acme/authority/ca_certificate.h"
#include "acme/authority/lifetimes.h"
#include "base/clock.h"
#include "base/result.h"
#include "cache/authority_store.h"

namespace latchkey::acme {

// DER, leaf first, without the root.
using Chain = std::vector<std::string>;

// A CA key that can sign.
struct Signer {
  AuthorityKey row;  // without key_der
  Issuer issuer;
  std::string linked_by{};  // the subject of row.link's issuer
};

// The CA keys of one authority: which of them signs, when it is to be replaced, by what, and the
// chains above a leaf. No I/O.
class Signers {
 public:
  // `status_url`, `guard`: see AuthorityOptions.
  Signers(std::string authority, const Lifetimes& lifetimes, std::string status_url = "",
          bool guard = true);

  // kInvalid: it does not parse; says which.
  Result<> add(AuthorityKey row);
  // Those that had ended by then.
  void forget_ended(WallTime by);

  const Signer* find(int64_t id) const;
  // The newest of their kind, which sign; null: there is none. One that was made by a clock that
  // ran ahead does not sign before its time.
  const Signer* root(WallTime now) const;
  const Signer* intermediate(WallTime now) const;
  const std::map<int64_t, Signer>& all() const { return signers_; }

  // There is none, or it has too little left for what it is to sign.
  bool root_is_due(WallTime now) const;
  bool intermediate_is_due(WallTime now) const;
  // From when on it is.
  WallTime due_at(const Signer& signer) const;

  // New ones, with new keys, to be stored and then added. REQUIRES (intermediate): root(now).
  AuthorityKey make_root(WallTime now) const;
  AuthorityKey make_intermediate(WallTime now) const;

  // See Authority::chains(). None: the signer is unknown.
  std::vector<Chain> chains(const std::string& leaf, int64_t signer, WallTime not_after) const;
  // May what ends then be signed by it?
  bool outlives(const Signer& signer, WallTime not_after) const;

 private:
  const Signer* newest(bool root, WallTime now) const;
  // Who has signed its link; null: nobody, or he has ended.
  const Signer* predecessor(const Signer& signer) const;
  // Signed by `parent` and linked to `before` (both may be null).
  AuthorityKey make(WallTime now, bool root, const Signer* parent, const Signer* before) const;

  std::string authority_;
  Lifetimes lifetimes_;
  std::string status_url_;
  bool guard_;
  std::map<int64_t, Signer> signers_;  // a handful: ended ones are forgotten
};

}  // namespace latchkey::acme
