#pragma once
#include <string>

namespace latchkey {

enum class Verdict {
  kAllow,
  kDeny,
  kUnknown,  // could not be found out: never treated as a denial, never remembered as one
};

struct Decision {
  Verdict verdict = Verdict::kUnknown;
  std::string reason;  // for people: "allowlist", "the ask endpoint answered 403"
};

}  // namespace latchkey
