#pragma once
// What a proxy does to header fields on their way through.

#include "edge/http/message.h"
#include "edge/http/stream.h"
#include "edge/routes.h"

namespace latchkey::edge {

// A client's request becomes ours: hop-by-hop fields go, with what Connection names; so does
// everything by which a client could pretend to be a proxy or somebody else (X-Client-Cert-*,
// Forwarded, X-Forwarded-*, X-Real-IP, Proxy, and spellings with '_' that CGI-like upstreams take
// for the same). Then ours are set: X-Forwarded-For, -Proto, -Host, Via, X-Request-Id, Forwarded if
// wanted, and the route's. Of a trusted proxy's requests, X-Forwarded-For and Forwarded are
// appended to, -Proto and -Host kept.
void forward_request(RequestHead& head, const ClientInfo& client, const HeaderRules& rules);

// A client's trailers: what forward_request() takes from its headers is not let in behind the body,
// nor what the route sets.
void forward_request_trailers(HeaderList& trailers, const HeaderRules& rules);

// An upstream's response: hop-by-hop fields go, then the route's rules.
void forward_response(ResponseHead& head, const HeaderRules& rules);

}  // namespace latchkey::edge
