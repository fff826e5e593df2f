#pragma once
// Files, read whole and replaced whole.

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace latchkey {

// The whole file. Errors name it: kNotFound; kInvalid when it is longer than `max_bytes`; kIo.
Result<std::string> read_file(const std::filesystem::path& file, size_t max_bytes);

// Replaces the file: after a crash at any moment there is the old one or the new one, whole. On
// disk once it returns. `mode` as in 0600. The error (kIo) names the file and the cause.
Result<> write_file_atomic(const std::filesystem::path& file, std::string_view bytes, mode_t mode);

// Replaces files of one folder, each whole, in their order: all are written before the first is
// replaced, so there are microseconds between them. One that is there keeps its permissions, and
// its owner and group as far as we may give them away: somebody has chosen them for who reads it.
// On disk once it returns. The error (kIo) names the file and the cause; some may be replaced then.
struct NewFile {
  std::string name;
  std::string bytes;
  mode_t mode;  // of a new one
};
Result<> replace_files(const std::filesystem::path& folder, const std::vector<NewFile>& files);

// Makes the folder, and what is missing above it, for us alone (0700). One that exists is left as
// it is. Errors: kIo.
Result<> make_private_folder(const std::filesystem::path& folder);

// What errno says, for messages: "No space left on device".
std::string errno_text(int number);

}  // namespace latchkey
