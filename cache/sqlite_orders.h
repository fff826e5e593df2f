#pragma once
// Orders under way: what the store does, on one connection, on the calling thread.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/renewal.h"
#include "cache/secret_box.h"
#include "cache/slot.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// A row that is of no use.
struct BadOrder {
  std::string name;
  Slot slot = Slot::kMain;
  std::string cause;
  bool damaged = false;  // false: only the key that it is sealed with is not here
};
struct FoundOrders {
  std::vector<PendingOrder> found;
  std::vector<BadOrder> bad;
};

Result<FoundOrders> find_order(Connection& connection, const SecretBox& box, const ServerName& name,
                               Slot slot);
// The oldest first.
Result<FoundOrders> load_orders(Connection& connection, const SecretBox& box, size_t limit);
Result<> put_order(Connection& connection, const SecretBox& box, const PendingOrder& order);
Result<> delete_order(Connection& connection, const ServerName& name, Slot slot);

// Moves a damaged one aside, among the certificates that were. False: somebody else has.
Result<bool> quarantine(Connection& connection, const BadOrder& bad);

// What an order's sealed key is bound to.
std::string order_context(std::string_view name, std::string_view url);

}  // namespace latchkey::sqlite
