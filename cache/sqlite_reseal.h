#pragma once
// Change of the encryption key: what older keys sealed is sealed anew, a bounded piece at a time.

#include <string>
#include <vector>

#include "base/result.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// One that does not open, and so stays as it is.
struct NotResealed {
  std::string table;
  std::string row;     // a name, or a directory
  std::string key_id;  // that it is sealed with, hex; "" where there is no telling
  std::string cause;
};
struct Resealed {
  std::vector<NotResealed> left_alone;
  bool done = false;  // nothing is left to do for the keys of `box`
};

constexpr int64_t kResealRows = 500;  // looked at in a piece, of one table (20 ms)

// The next piece, in one transaction with the note of how far it has come: a restart goes on there.
// Another set of keys begins anew.
Result<Resealed> reseal_piece(Connection& connection, const SecretBox& box);

}  // namespace latchkey::sqlite
