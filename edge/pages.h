#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// `text` for use inside an HTML element or attribute.
std::string escape_html(std::string_view text);

// The whole small page that says a status to a person.
std::string page_html(int status, std::string_view text);

// Answers with such a page and finishes: may destroy the Exchange, so call it last.
void answer_page(ResponseStream& to, int status, std::string_view text,
                 std::optional<std::chrono::seconds> retry_after = {});
// The same without finish().
void send_page(ResponseStream& to, int status, std::string_view text,
               std::optional<std::chrono::seconds> retry_after = {});

}  // namespace latchkey::edge
