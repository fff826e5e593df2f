#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

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

// A file beside the one that it is to replace; gone with this, unless it did.
class FileBeside {
 public:
  // `like`: whose owner and group it gets, if we may; null: ours.
  static Result<std::unique_ptr<FileBeside>> write(const fs::path& file, std::string_view bytes,
                                                   mode_t mode, const struct stat* like) {
    std::unique_ptr<FileBeside> made(new FileBeside(file));
    const Descriptor fd(::mkostemp(made->beside_.data(), O_CLOEXEC));
    if (!fd) return Error{ErrorCode::kIo, failed("write", file, errno).message};
    made->there_ = true;
    if (like != nullptr && ::fchown(fd.get(), like->st_uid, like->st_gid) != 0) {
      // Only root may give files away; to a group of ours everybody may.
      static_cast<void>(::fchown(fd.get(), static_cast<uid_t>(-1), like->st_gid) == 0);
    }
    const bool written =
        write_all(fd.get(), bytes) && ::fchmod(fd.get(), mode) == 0 && ::fsync(fd.get()) == 0;
    if (!written) return Error{ErrorCode::kIo, failed("write", file, errno).message};
    return made;
  }
  ~FileBeside() {
    if (there_) ::unlink(beside_.c_str());
  }
  FileBeside(const FileBeside&) = delete;

  Result<> replace() {
    if (::rename(beside_.c_str(), file_.c_str()) != 0) {
      return Error{ErrorCode::kIo, failed("write", file_, errno).message};
    }
    there_ = false;
    return Unit{};
  }

 private:
  // In the same folder: rename needs that.
  explicit FileBeside(const fs::path& file) : file_(file), beside_(file.string() + ".XXXXXX") {}

  const fs::path file_;
  std::string beside_;
  bool there_ = false;
};

// A rename is on disk once the folder is.
Result<> sync_folder(const fs::path& folder, const fs::path& file) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return failed("write the folder of", file, errno);
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
  auto beside = FileBeside::write(file, bytes, mode, nullptr);
  if (!beside) return std::move(beside).error();
  if (auto replaced = (*beside)->replace(); !replaced) return replaced;
  return sync_folder(folder_of(file), file);
}

Result<> replace_files(const fs::path& folder, const std::vector<NewFile>& files) {
  std::vector<std::unique_ptr<FileBeside>> all;
  all.reserve(files.size());
  for (const NewFile& one : files) {
    const fs::path file = folder / one.name;
    struct stat found {};
    const bool there = ::stat(file.c_str(), &found) == 0 && S_ISREG(found.st_mode);
    const mode_t mode = there ? found.st_mode & 0777 : one.mode;
    auto beside = FileBeside::write(file, one.bytes, mode, there ? &found : nullptr);
    if (!beside) return std::move(beside).error();
    all.push_back(*std::move(beside));
  }
  for (const auto& one : all) {
    if (auto replaced = one->replace(); !replaced) return replaced;
  }
  return all.empty() ? Result<>(Unit{}) : sync_folder(folder, folder / files.back().name);
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
