#pragma once
#include <string>
#include <string_view>

namespace latchkey::acme {

// A body as a debug line may show it: one line of at most 2 KiB, the values of tokens, nonces,
// signatures and bindings left out.
std::string loggable(std::string_view body);

}  // namespace latchkey::acme
