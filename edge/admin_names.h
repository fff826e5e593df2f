#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task.h"
#include "edge/admin_server.h"
#include "edge/steering.h"

namespace latchkey::edge {

// The part of the admin API (edge/admin_api.h) that is about names.

// GET /names?after=&contains=&limit=&expires_before=
Task<AdminReply> answer_list(Steering& steering, AdminRequest request);
// POST /names
AdminReply answer_prefetch(Steering& steering, const std::string& body);
// /names/{n}, /names/{n}/..., /names/{n}:verb
Task<AdminReply> answer_name(Steering& steering, AdminRequest request);

// GET /events?limit=, and of one name
Task<AdminReply> answer_events(Steering& steering, AdminRequest request);

// The error says when on_demand.underscore would help.
Result<ServerName> parse_name(std::string_view text, ServerNameRules rules);
// What was sent as a name, cut for messages.
std::string shown_name(std::string_view name);

}  // namespace latchkey::edge
