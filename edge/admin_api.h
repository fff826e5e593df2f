#pragma once
#include "base/task.h"
#include "edge/admin_server.h"
#include "edge/steering.h"

namespace latchkey::edge {

// The admin API's paths (docs/admin-api.md says more):
//   GET    /status              GET /budget
//   GET    /names               the certificates, paged: ?after=&contains=&limit=&expires_before=
//   POST   /names               prefetch: {"name": "a.test"}, {"names": [...]}, a JSON string or
//                               list of strings; bad names are listed and lose no others
//   GET    /names/{n}           explain
//   DELETE /names/{n}
//   GET    /names/{n}/certificate
//   GET    /names/{n}/events    GET /events: ?limit=
//   POST   /names/{n}:obtain    :renew: wait for the outcome
//   POST   /names/{n}:ask       asks the policy anew
//   POST   /names/{n}:revoke    {"reason": "keyCompromise"}, or no body
//   POST   /names/{n}:evict     :retry
//   GET    /accounts
//   POST   /accounts/{issuer}:roll-key   :deactivate, :reactivate
//   POST   /certificates:import  what `latchkey certs import` has read: at most 16 MiB at a time
//   POST   /config:reload
//   GET    /healthz             200 while the process lives
//   GET    /readyz              ... and 503 from the beginning of a drain
// Errors are {"error": "..."} with 400 (what was sent, or the configuration, is wrong), 404, 405,
// 409 (the name was refused: policy), 413, 502 (a CA, the endpoint), 503 (come back later, with
// retry_after seconds).
Task<AdminReply> answer_admin(Steering& steering, AdminRequest request);

}  // namespace latchkey::edge
