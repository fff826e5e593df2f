#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace latchkey::test {

// `openssl s_client` to 127.0.0.1 until the end of the handshake: another implementation's view.
// With its arguments beside -connect and -servername.
ProgramEnded openssl_client(const std::filesystem::path& folder, uint16_t port,
                            const std::string& name, const std::vector<std::string>& arguments);
// Any `openssl` command.
ProgramEnded openssl(const std::filesystem::path& folder,
                     const std::vector<std::string>& arguments);

}  // namespace latchkey::test
