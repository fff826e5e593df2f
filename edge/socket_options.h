#pragma once

namespace latchkey::edge {

// What every TCP connection of ours is set to: no delay of small writes, and keep-alive probes, so
// that a peer that vanished without a word is noticed after about two minutes even where no timer
// runs (tunnels, event streams).
void tune_connection(int fd);

}  // namespace latchkey::edge
