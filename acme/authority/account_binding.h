#pragma once
#include <map>
#include <string>
#include <string_view>

#include "acme/authority/jws_key.h"
#include "acme/authority/server_problem.h"
#include "base/json.h"

namespace latchkey::acme {

// RFC 8555, 7.3.4: is `binding` a JWS over `key` by one of the HMAC keys, for `url`? Its kid.
Judged<std::string> check_binding(const JsonValue& binding, const JwsKey& key, std::string_view url,
                                  const std::map<std::string, std::string>& hmac_keys);

}  // namespace latchkey::acme
