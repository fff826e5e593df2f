#pragma once
#include <string>
#include <string_view>

#include "edge/front/compressor.h"
#include "edge/front/config.h"
#include "edge/http/message.h"

namespace latchkey::edge {

// The coding that the client likes best of those that we offer, in our order where it does not
// mind (RFC 9110, 12.5.3). kIdentity: none of them. `accepted`: its Accept-Encoding.
Coding best_coding(std::string_view accepted, const std::vector<std::string>& offered);

// Whether the response is one that clients get compressed if they like: by its status, type and
// size, and if neither it nor its request forbids that.
bool is_compressible(const ResponseHead& head, const CompressionConfig& config);

// Says so in the response's header: Vary.
void vary_by_coding(ResponseHead& head);
// ... and becomes the header of the compressed one: Content-Encoding, a weak ETag, no length.
void become_coded(ResponseHead& head, Coding coding);

}  // namespace latchkey::edge
