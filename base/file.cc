#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace latchkey {
namespace {

namespace fs = std::filesystem;

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  const int fd_;
};

Error failed(std::string_view doing, const fs::path& file, int number) {
  const ErrorCode code = number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  return {code, "cannot " + std::string(doing) + " " + file.string() + ": " + errno_text(number)};
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// `like`: whose owner and group the new file gets, if we may; null: ours.
Result<> replace_file(const fs::path& file, std::string_view bytes, mode_t mode,
                      const struct stat* like) {
  std::string beside = file.string() + ".XXXXXX";  // in the same folder: rename needs that
  const Descriptor fd(::mkostemp(beside.data(), O_CLOEXEC));
  if (!fd) return Error{ErrorCode::kIo, failed("write", file, errno).message};
  if (like != nullptr && ::fchown(fd.get(), like->st_uid, like->st_gid) != 0) {
    // Only root may give files away; to a group of ours everybody may.
    static_cast<void>(::fchown(fd.get(), static_cast<uid_t>(-1), like->st_gid) == 0);
  }
  const bool written = write_all(fd.get(), bytes) && ::fchmod(fd.get(), mode) == 0 &&
                       ::fsync(fd.get()) == 0 && ::rename(beside.c_str(), file.c_str()) == 0;
  if (!written) {
    const int why = errno;
    ::unlink(beside.c_str());
    return Error{ErrorCode::kIo, failed("write", file, why).message};
  }
  // The rename itself is on disk once the folder is.
  const Descriptor folder(::open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return failed("write the folder of", file, errno);
  return Unit{};
}

}  // namespace

std::string errno_text(int number) {
  return std::generic_category().message(number);
}

Result<std::string> read_file(const fs::path& file, size_t max_bytes) {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failed("read", file, errno);
  std::string bytes;
  for (;;) {
    const size_t had = bytes.size();
    const size_t room = std::min<size_t>(max_bytes + 1 - had, 64 << 10);
    bytes.resize(had + room);
    const ssize_t n = ::read(fd.get(), bytes.data() + had, room);
    const int why = errno;
    bytes.resize(had + static_cast<size_t>(n > 0 ? n : 0));
    if (n < 0 && why == EINTR) continue;
    if (n < 0) return failed("read", file, why);
    if (n == 0) return bytes;
    if (bytes.size() > max_bytes) {
      return Error{ErrorCode::kInvalid, file.string() + " is longer than the " +
                                            std::to_string(max_bytes) + " bytes it may have"};
    }
  }
}

Result<> write_file_atomic(const fs::path& file, std::string_view bytes, mode_t mode) {
  return replace_file(file, bytes, mode, nullptr);
}

Result<> rewrite_file_atomic(const fs::path& file, std::string_view bytes, mode_t mode) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return replace_file(file, bytes, mode, nullptr);
  return replace_file(file, bytes, found.st_mode & 0777, &found);
}

Result<> make_private_folder(const fs::path& folder) {
  std::vector<fs::path> missing;
  fs::path at = folder.lexically_normal();
  if (!at.has_filename()) at = at.parent_path();  // "a/b/" is "a/b"
  for (; !at.empty(); at = at.parent_path()) {
    struct stat found {};
    if (::stat(at.c_str(), &found) == 0) {
      if (S_ISDIR(found.st_mode)) break;
      return Error{ErrorCode::kIo, "cannot make the folder " + folder.string() + ": " +
                                       at.string() + " is no folder"};
    }
    if (errno != ENOENT) {
      return Error{ErrorCode::kIo, failed("make the folder", folder, errno).message};
    }
    missing.push_back(at);
    if (at == at.parent_path()) break;
  }
  for (auto one = missing.rbegin(); one != missing.rend(); ++one) {
    if (::mkdir(one->c_str(), 0700) != 0 && errno != EEXIST) {
      return Error{ErrorCode::kIo, failed("make the folder", *one, errno).message};
    }
  }
  return Unit{};
}

}  // namespace latchkey
