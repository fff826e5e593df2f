#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "base/file.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {
namespace {

namespace fs = std::filesystem;

// Nobody but an operator's tools (a backup, a look inside) ever makes us wait for a lock.
constexpr int kBusyMillis = 5000;

// Makes the file ours alone before SQLite sees it; the files beside it get the same permissions.
// One that exists is never opened here: closing it would drop this process's locks on it.
Result<> prepare_file(const fs::path& file) {
  const auto failed = [&](const std::string& why) {
    return Error{ErrorCode::kIo, "cannot open the database " + file.string() + ": " + why +
                                     "; it and its folder must be ours to write"};
  };
  struct stat found {};
  if (::stat(file.c_str(), &found) == 0) {
    if (!S_ISREG(found.st_mode)) return failed("it is no regular file");
    if ((found.st_mode & 077) != 0 && ::chmod(file.c_str(), 0600) != 0) {
      return failed("others may read it, and " + errno_text(errno));
    }
    return Unit{};
  }
  if (errno != ENOENT) return failed(errno_text(errno));
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed(errno_text(errno));
  ::close(fd);
  return Unit{};
}

// What the system said. SQLite keeps it for some failures only; of others it is left in errno,
// which was cleared before the call, but may be of something harmless.
int system_error(sqlite3* handle, int left) {
  for (const int one : {EIO, EROFS, EDQUOT, EFBIG, ENOSPC, EACCES, EPERM, ENFILE, EMFILE}) {
    if (left == one) return one;
  }
  return handle == nullptr ? left : sqlite3_system_errno(handle);
}

// Of an I/O error, by its extended code.
std::string_view refused_act(int status) {
  switch (status) {
    case SQLITE_CANTOPEN:
      return " cannot be opened";
    case SQLITE_IOERR_READ:
    case SQLITE_IOERR_SHORT_READ:
      return " cannot be read";
    case SQLITE_IOERR_WRITE:
    case SQLITE_IOERR_TRUNCATE:
      return " cannot be written";
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
      return " cannot be written through to the disk";
    default:
      return " cannot be read or written";
  }
}

}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Query& Query::bound(int status) {
  if (status_ == SQLITE_OK) status_ = status;
  return *this;
}

Query& Query::bind(int64_t value) {
  return bound(sqlite3_bind_int64(statement_, ++parameter_, value));
}

Query& Query::bind(std::string_view text) {
  return bound(sqlite3_bind_text64(statement_, ++parameter_, text.data(), text.size(),
                                   SQLITE_TRANSIENT, SQLITE_UTF8));
}

Query& Query::bind_blob(std::string_view bytes) {
  // A null pointer would bind NULL.
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  return bound(sqlite3_bind_blob64(statement_, ++parameter_, data, bytes.size(), SQLITE_TRANSIENT));
}

Query& Query::bind_null() {
  return bound(sqlite3_bind_null(statement_, ++parameter_));
}

Result<bool> Query::next() {
  if (status_ != SQLITE_OK) return connection_.error(status_);
  errno = 0;
  const int status = sqlite3_step(statement_);
  if (status == SQLITE_ROW) return true;
  if (status == SQLITE_DONE) return false;
  return connection_.error(status);
}

Result<> Query::run() {
  auto row = next();
  if (!row) return std::move(row).error();
  CHECK(!*row);
  return Unit{};
}

int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Query::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<std::unique_ptr<Connection>> Connection::open_file(const fs::path& file,
                                                          const std::string& vfs, int flags) {
  std::unique_ptr<Connection> made(new Connection(file, vfs));
  // NOMUTEX: one thread at a time uses a connection.
  const int status = sqlite3_open_v2(file.c_str(), &made->handle_,
                                     flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     vfs.empty() ? nullptr : vfs.c_str());
  if (status != SQLITE_OK) return made->error(status);
  sqlite3_busy_timeout(made->handle_, kBusyMillis);
  // A damaged file must not make SQLite do what its schema says.
  sqlite3_db_config(made->handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(made->handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return made;
}

Result<std::unique_ptr<Connection>> Connection::open_read_only(const fs::path& path,
                                                               const std::string& vfs) {
  const fs::path file = fs::absolute(path);
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    return Error{ErrorCode::kIo, "there is no database " + file.string() +
                                     ": is it another state folder, or was the program never "
                                     "started?"};
  }
  return open_file(file, vfs, SQLITE_OPEN_READONLY);
}

Result<std::unique_ptr<Connection>> Connection::open(const fs::path& path, const std::string& vfs) {
  const fs::path file = fs::absolute(path);
  if (auto prepared = prepare_file(file); !prepared) return std::move(prepared).error();
  auto made = open_file(file, vfs, SQLITE_OPEN_READWRITE);
  if (!made) return made;
  {
    Query query = (*made)->query("PRAGMA journal_mode=WAL");
    auto row = query.next();
    if (!row) return std::move(row).error();
    if (!*row || query.text(0) != "wal") {
      return Error{ErrorCode::kIo, "the database " + file.string() +
                                       " cannot use a write-ahead log here: put it on a local "
                                       "file system"};
    }
  }
  for (const char* pragma : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                             "PRAGMA foreign_keys=ON", "PRAGMA journal_size_limit=16777216"}) {
    if (auto set = (*made)->execute(pragma); !set) return std::move(set).error();
  }
  return made;
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Query Connection::query(std::string_view sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return {*this, found->second, SQLITE_OK};
  sqlite3_stmt* statement = nullptr;
  const int status = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (status == SQLITE_OK) statements_.emplace(sql, statement);
  return {*this, statement, status};
}

Result<> Connection::execute(const std::string& sql) {
  errno = 0;
  const int status = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return error(status);
  return Unit{};
}

int64_t Connection::last_row_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

int64_t Connection::changes() const {
  return sqlite3_changes64(handle_);
}

Error Connection::error(int status) const {
  const int left = errno;
  const std::string file = file_.string();
  const std::string folder = file_.parent_path().string();
  std::string text;
  switch (status & 0xff) {  // the primary code
    case SQLITE_FULL:
      text = "the disk is full under " + file + ": free space in " + folder;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      text = "the database " + file + (status == SQLITE_NOTADB ? " is none" : " is damaged") +
             ": restore a backup of it, or move it and the -wal file beside it away to start "
             "anew (certificates are then obtained again)";
      break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      text = "the database " + file +
             " is locked by another process: end what else has it open (a second instance, a "
             "backup, an sqlite3 shell)";
      break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      text = "the database " + file + " cannot be written: make it and the folder " + folder +
             " ours to write, on a file system that is not read-only";
      break;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
      const int why = system_error(handle_, left);
      text = "the database " + file;
      text.append(refused_act(status)).append(why != 0 ? " (" + errno_text(why) + ")" : "");
      text += ": look after the disk and the permissions of " + folder;
      break;
    }
    default:
      text = "the database " + file + " refused";
      break;
  }
  const char* own = handle_ == nullptr ? sqlite3_errstr(status) : sqlite3_errmsg(handle_);
  return {ErrorCode::kIo,
          text + " [SQLite " + std::to_string(status) + ": " + std::string(own) + "]"};
}

Transaction::~Transaction() {
  // After some errors SQLite has rolled back already: then this fails, and that is fine.
  if (open_) sqlite3_exec(connection_.handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<> Transaction::begin() {
  auto begun = connection_.execute("BEGIN IMMEDIATE");
  open_ = begun.has_value();
  return begun;
}

Result<> Transaction::commit() {
  auto committed = connection_.execute("COMMIT");
  if (committed) open_ = false;
  return committed;
}

}  // namespace latchkey::sqlite
