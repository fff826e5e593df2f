#pragma once
// The frame of a report: what stands around the content, and how text becomes markup.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/report/format.h"

namespace latchkey::bench {

// For element content and for quoted attributes alike. Control characters become spaces.
std::string escape(std::string_view text);

// Our own figures, in better type than a terminal's: µs, ≤, ×, – and thin spaces; escaped.
std::string fine(std::string_view text);
std::string fine(const Quantity& quantity);  // the unit in small print

// <name attributes>content</name>. Attributes and content are markup already.
std::string element(std::string_view name, std::string_view attributes, std::string_view content);
std::string element(std::string_view name, std::string_view content);

// Terms and what they stand for, as a list.
std::string definitions(const std::vector<std::pair<std::string, std::string>>& pairs);

// A figure that everything else explains, with its label and a remark; texts are markup already.
std::string headline(const std::string& label, const std::string& value, const std::string& remark);

// The whole document. `title` is text, `body` markup.
std::string html_page(std::string_view title, std::string_view body);

}  // namespace latchkey::bench
