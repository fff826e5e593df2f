#pragma once
#include "base/result.h"
#include "base/server_name.h"

namespace latchkey {

// What a name must be, beyond a valid host name, that nobody listed literally: two labels or more,
// no public suffix (ICANN's part of the list), at most ten labels, and no label three times in a
// row at the head (www.www.www.). The error (kDenied) says which rule it breaks. Any thread.
Result<> guard_name(const ServerName& name);

}  // namespace latchkey
