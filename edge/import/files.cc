#include "edge/import/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "base/file.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

Error about(const fs::path& file, ErrorCode code, const std::string& why) {
  return {code, file.filename().string() + ": " + why};
}

Error failed(const fs::path& file, int number) {
  const ErrorCode code = number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  return about(file, code, errno_text(number));
}

bool is_kind(const fs::path& path, mode_t kind) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && (found.st_mode & S_IFMT) == kind;
}

Result<std::string> read_open(int fd, const fs::path& file) {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return failed(file, errno);
  if (!S_ISREG(found.st_mode)) return about(file, ErrorCode::kInvalid, "is no regular file");
  const auto too_long = [&] {
    return about(file, ErrorCode::kInvalid,
                 "is longer than " + std::to_string(kMaxImportFile) + " bytes");
  };
  if (static_cast<uint64_t>(found.st_size) > kMaxImportFile) return too_long();
  std::string bytes;
  // One more than there should be: it may grow.
  bytes.resize(static_cast<size_t>(found.st_size) + 1);
  size_t had = 0;
  for (;;) {
    const ssize_t n = ::read(fd, bytes.data() + had, bytes.size() - had);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(file, errno);
    had += static_cast<size_t>(n);
    if (n == 0) break;
    if (had > kMaxImportFile) return too_long();
    if (had == bytes.size()) bytes.resize(kMaxImportFile + 1);
  }
  bytes.resize(had);
  return bytes;
}

}  // namespace

Result<std::string> read_import_file(const fs::path& file) {
  // Non-blocking: a FIFO without a writer would hold us for ever.
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return failed(file, errno);
  Result<std::string> bytes = read_open(fd, file);
  ::close(fd);
  return bytes;
}

Result<JsonValue> read_import_json(const fs::path& file) {
  const Result<std::string> text = read_import_file(file);
  if (!text) return text.error();
  Result<JsonValue> json = parse_json(*text);
  if (!json || !json->is(JsonValue::Kind::kObject)) {
    return about(file, ErrorCode::kInvalid, "is no JSON object");
  }
  return json;
}

bool is_folder(const fs::path& path) {
  return is_kind(path, S_IFDIR);
}

bool is_file(const fs::path& path) {
  return is_kind(path, S_IFREG);
}

Result<> each_name_in(const fs::path& folder, const std::function<bool(const std::string&)>& each) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(folder.c_str()), ::closedir);
  if (open == nullptr) return Error{ErrorCode::kIo, errno_text(errno)};
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(open.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (!each(name)) return Unit{};
  }
  if (errno != 0) return Error{ErrorCode::kIo, errno_text(errno)};
  return Unit{};
}

}  // namespace latchkey::edge
