#pragma once
#include "base/task.h"
#include "edge/admin_server.h"
#include "edge/steering.h"

namespace latchkey::edge {

// The admin API's paths:
//   GET    /status              GET /budget
//   GET    /names/{n}           explain
//   POST   /names               prefetch: {"name": "a.test"}, {"names": [...]}, a JSON string or
//                               list of strings; bad names are listed and lose no others
//   POST   /names/{n}:obtain    waits for the outcome
//   POST   /names/{n}:ask       asks the policy anew
//   DELETE /names/{n}
//   POST   /config:reload
// Errors are {"error": "..."} with 400 (what was sent, or the configuration, is wrong), 404, 405,
// 409 (the name was refused: policy), 413, 502 (a CA, the endpoint), 503 (come back later, with
// retry_after seconds).
Task<AdminReply> answer_admin(Steering& steering, AdminRequest request);

}  // namespace latchkey::edge
