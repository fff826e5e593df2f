#pragma once
#include <filesystem>

namespace latchkey::test {

// Both give this process, and what it starts, a view of its own, for good. Call them before any
// thread is started. False where the kernel does not let us.

// Of the file systems.
bool enter_own_mounts();
// Of the file systems and of the network: there is only loopback, and every port is free, also
// those below 1024.
bool enter_own_network();

// In mounts of our own: `path` shows `file` from now on.
bool show_instead(const std::filesystem::path& path, const std::filesystem::path& file);

}  // namespace latchkey::test
