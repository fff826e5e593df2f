#include "cache/sqlite_meta.h"

#include <openssl/rand.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>

#include "base/file.h"

namespace latchkey::sqlite {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

constexpr uint64_t kLeastFreeSpace = 16 << 20;  // bytes: a full write-ahead log
// What tells our key file from another: a known text, sealed when the database was made.
constexpr std::string_view kKeyCheck = "latchkey";
constexpr std::string_view kKeyCheckContext = "meta\0key_check"sv;

Result<> test_free_space(const fs::path& folder) {
  struct statvfs found {};
  if (::statvfs(folder.c_str(), &found) != 0) {
    return Error{ErrorCode::kIo,
                 "cannot look at the free space of " + folder.string() + ": " + errno_text(errno)};
  }
  const uint64_t free = uint64_t{found.f_bavail} * found.f_frsize;
  if (free < kLeastFreeSpace) {
    return Error{ErrorCode::kIo, "only " + std::to_string(free >> 10) + " KiB are free in " +
                                     folder.string() +
                                     ", where at least 16 MiB are needed: " + "free some space"};
  }
  return Unit{};
}

}  // namespace

Result<std::optional<std::string>> find_meta(Connection& connection, std::string_view key) {
  Query query = connection.query("SELECT value FROM meta WHERE key = ?");
  auto row = query.bind(key).next();
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<std::string>();
  return std::optional<std::string>(query.text(0));
}

Result<> put_meta(Connection& connection, std::string_view key, std::string_view value) {
  Query query = connection.query(
      "INSERT INTO meta (key, value) VALUES (?, ?) "
      "ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  return query.bind(key).bind_blob(value).run();
}

Result<SecretBox> open_existing_box(Connection& connection, const fs::path& file) {
  const auto check = find_meta(connection, "key_check");
  if (!check) return check.error();
  auto box = SecretBox::from_file(file);
  if (!*check) return box;  // nothing was ever sealed here
  const std::string remedy =
      "put the file back from your backup, or move the database away to start anew "
      "(certificates are then obtained again)";
  const std::string needs = "the database " + connection.file().string() + " is sealed with key " +
                            SecretBox::key_id_of(**check);
  if (!box && box.error().code == ErrorCode::kNotFound) {
    return Error{ErrorCode::kInvalid, "the encryption key file " + file.string() +
                                          " is lost, and " + needs + ": " + remedy};
  }
  if (!box) return box;
  if (auto opened = box->open(**check, kKeyCheckContext); !opened) {
    return Error{ErrorCode::kInvalid, "the encryption key file " + file.string() +
                                          " is not the right one: " + needs + " (" +
                                          opened.error().message + "): " + remedy};
  }
  return box;
}

Result<SecretBox> open_box(Connection& connection, const fs::path& file, Log& log) {
  const auto check = find_meta(connection, "key_check");
  if (!check) return check.error();
  auto box = open_existing_box(connection, file);
  if (!*check && !box && box.error().code == ErrorCode::kNotFound) box = SecretBox::make(file, log);
  if (!box) return box;
  if (!*check || SecretBox::key_id_of(**check) != box->key_id()) {
    // A newer key seals from now on: a key file from before it is refused at the next start.
    auto put = put_meta(connection, "key_check", box->seal(kKeyCheck, kKeyCheckContext));
    if (!put) return std::move(put).error();
  }
  return box;
}

Result<> test_store(Connection& connection) {
  if (auto space = test_free_space(connection.file().parent_path()); !space) return space;
  std::array<uint8_t, 32> random{};
  RAND_bytes(random.data(), random.size());
  const std::string probe(reinterpret_cast<const char*>(random.data()), random.size());
  if (auto put = put_meta(connection, "probe", probe); !put) return put;
  {
    const auto reader = Connection::open(connection.file(), connection.vfs());
    if (!reader) return reader.error();
    const auto found = find_meta(**reader, "probe");
    if (!found) return found.error();
    if (*found != probe) {
      return Error{ErrorCode::kIo, "the database " + connection.file().string() +
                                       " does not give back what was written: do not trust the "
                                       "disk under it; move the database to another one"};
    }
  }
  Query query = connection.query("DELETE FROM meta WHERE key = 'probe'");
  return query.run();
}

}  // namespace latchkey::sqlite
