#pragma once
#include <string>

#include "base/result.h"
#include "base/server_name.h"

namespace latchkey {

// What a name must be, beyond a valid host name, that nobody listed literally: two labels or more,
// no public suffix (ICANN's part of the list), at most ten labels, and no label three times in a
// row at the head (www.www.www.). The error (kDenied) says which rule it breaks. Any thread.
Result<> guard_name(const ServerName& name);

// The registered domain that the name lies under (public suffix and one label, by the whole list,
// private part included: "a.b.co.uk" -> "b.co.uk", "x.y.github.io" -> "y.github.io"); the name
// itself where there is none. Any thread.
std::string registered_domain(const ServerName& name);

}  // namespace latchkey
