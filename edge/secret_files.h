#pragma once
#include <filesystem>
#include <string>

#include "base/result.h"
#include "edge/config.h"

namespace latchkey::edge {

// The secret that a file holds, without the line ends behind it. Errors name the file and the
// remedy, never its content: kNotFound, kIo; kInvalid for one that is empty, no regular file,
// longer than 4 KiB, or that others than its owner and group may read or write.
Result<std::string> read_secret(const std::filesystem::path& file);

// The same for the key that a CA gave for its external account binding: base64url there (padded or
// not), bytes here.
Result<std::string> read_eab_key(const std::filesystem::path& file);

// The same for the secret of a TSIG key: base64, as name servers' configurations have it.
Result<std::string> read_tsig_key(const std::filesystem::path& file);

// That those which the configuration names can be used.
Result<> check_secret_files(const Config& config);

}  // namespace latchkey::edge
