#pragma once
#include <array>
#include <string_view>

namespace latchkey {

// Where tests end the process as a power cut would: between two steps of an order, in their order.
// The test goes through all of them.
inline constexpr std::array<std::string_view, 10> kFaultPoints{
    "order.made",          // the CA has accepted it, we have not written that down
    "order.stored",        // ... and now we have
    "challenge.offered",   // before the CA is told to look
    "challenge.accepted",  // the CA was told
    "order.proven",        // all authorizations are valid
    "order.finalized",     // the CA has our request
    "order.valid",         // the certificate can be fetched
    "chain.downloaded",    // it is in memory
    "certificate.stored",  // it is on disk, nobody has seen it
    "certificate.cached",  // visitors see it
};

#ifdef LATCHKEY_FAULT_POINTS
// Kills the process where the environment has LATCHKEY_FAULT_POINT=point; with LATCHKEY_FAULT_AFTER
// so many passes of it later. Any thread.
void fault_point(std::string_view point);
#else
inline void fault_point(std::string_view) {}
#endif

}  // namespace latchkey
