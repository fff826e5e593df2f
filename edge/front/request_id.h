#pragma once
#include <string>
#include <string_view>

namespace latchkey::edge {

// 128 random bits in hex.
std::string new_request_id();

// Whether an id that a proxy before us gave may go on: 1 to 128 visible ASCII characters.
bool is_request_id(std::string_view text);

}  // namespace latchkey::edge
