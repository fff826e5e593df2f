#pragma once
#include "base/task.h"
#include "edge/admin_server.h"
#include "edge/steering.h"

namespace latchkey::edge {

// /authorities, /authorities:root and /authorities:rotate. REQUIRES: the path begins so.
Task<AdminReply> answer_authorities(Steering& steering, AdminRequest request);

}  // namespace latchkey::edge
