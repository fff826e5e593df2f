#pragma once
// Of stored certificates what it takes to renew them: what the store does, on one connection, on
// the calling thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/renewal.h"
#include "cache/sqlite.h"
#include "cache/store.h"

namespace latchkey::sqlite {

// A row that cannot be used, and why.
struct BadRow {
  int64_t id = 0;
  std::string name;  // that it was obtained for
  std::string cause;
};

// What read_info() reads, of the table `certificate AS c`.
inline constexpr int kInfoColumns = 16;
const std::string& info_columns();
// Of the current row, its first columns. kInvalid: its name is none.
Result<CertificateInfo> read_info(const Query& query);

// One that was kept for a name or a wildcard.
Result<ServerName> stored_name(std::string_view text);

struct Due {
  DueCertificates found;
  std::vector<BadRow> bad;  // among them
};
Result<Due> find_due(Connection& connection, WallTime now, size_t limit);
Result<> put_plan(Connection& connection, int64_t id, const RenewalPlan& plan);

// Of these names, in one transaction: [first, last) of them.
Result<> note_uses(Connection& connection, const std::vector<SlotName>& names, size_t first,
                   size_t last, WallTime now);

// A piece of a page: looks at no more than kListRows names.
struct Listed {
  std::vector<CertificateInfo> found;
  std::string last;   // the name that was looked at last
  bool more = false;  // names behind it
};
constexpr int64_t kListRows = 5000;  // 10 ms
// `after` and `limit` are those of the piece; the certificates of one name stay together, also
// where they are more than that. Those that were obtained for a host name, and that only a wildcard
// leads to by now, are left out.
Result<Listed> list_piece(Connection& connection, const CertificateQuery& query);

}  // namespace latchkey::sqlite
