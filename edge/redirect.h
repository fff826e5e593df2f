#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "edge/http/message.h"

namespace latchkey::edge {

// A route's rule that sends clients elsewhere: "https://example.com{path}{query}".
struct Redirect {
  std::string to;
  int status = 308;
};

// kInvalid: what is wrong with the rule. Its scheme and authority are written out; in them only
// {host} may stand for the request's, which the route has matched: nobody is sent where the
// operator did not say.
Result<> check_redirect(const Redirect& rule);

// Where the request goes by a rule that was found good. {host}: the request's, without port;
// {path}, {query}: of its target; the latter with its "?", or "".
std::string redirect_location(const Redirect& rule, const RequestHead& head);

}  // namespace latchkey::edge
