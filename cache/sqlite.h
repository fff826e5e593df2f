#pragma once
// SQLite, thinly: statements that reset themselves, transactions that roll back by themselves,
// errors that say what to do. sqlite3.h stays behind sqlite_connection.cc.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace latchkey::sqlite {

// A statement in use: bind in order, then next() until it is false, or run(). It ends with this
// object; one Query of a text lives at a time.
class Query {
 public:
  ~Query();
  Query(const Query&) = delete;

  Query& bind(int64_t value);
  Query& bind(std::string_view text);
  Query& bind_blob(std::string_view bytes);
  Query& bind_null();

  // True: there is a row. Errors name the file, the cause and the remedy.
  Result<bool> next();
  // For what yields no rows.
  Result<> run();

  // Of the current row; columns count from 0. Views last until the next next().
  int64_t integer(int column) const;
  std::string_view text(int column) const;  // also of a blob
  bool is_null(int column) const;

 private:
  friend class Connection;
  Query(class Connection& connection, sqlite3_stmt* statement, int status)
      : connection_(connection), statement_(statement), status_(status) {}

  Query& bound(int status);

  Connection& connection_;
  sqlite3_stmt* statement_;  // owned by the connection; null if it does not compile
  int status_;               // the first failure of compiling or binding, else SQLITE_OK
  int parameter_ = 0;
};

// One connection, used by one thread at a time.
class Connection {
 public:
  // Opens the file, or makes it (0600, like all that SQLite puts beside it), in WAL mode with
  // synchronous=FULL: a committed transaction is on disk. `vfs`: SQLite's name of what is between
  // it and the system; "" for the default one.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& file,
                                                  const std::string& vfs = "");
  // The file must be there, and is not written; a process that writes it may run or not.
  static Result<std::unique_ptr<Connection>> open_read_only(const std::filesystem::path& file,
                                                            const std::string& vfs = "");
  ~Connection();
  Connection(const Connection&) = delete;

  // `sql` is compiled once for each connection and kept: only literals, so their number is small.
  Query query(std::string_view sql);
  // One or more statements without parameters or rows.
  Result<> execute(const std::string& sql);

  int64_t last_row_id() const;
  int64_t changes() const;  // rows that the last INSERT, UPDATE or DELETE changed
  const std::filesystem::path& file() const { return file_; }
  const std::string& vfs() const { return vfs_; }

 private:
  friend class Query;
  friend class Transaction;
  Connection(std::filesystem::path file, std::string vfs)
      : file_(std::move(file)), vfs_(std::move(vfs)) {}

  static Result<std::unique_ptr<Connection>> open_file(const std::filesystem::path& file,
                                                       const std::string& vfs, int flags);
  Error error(int status) const;

  const std::filesystem::path file_;
  const std::string vfs_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string_view, sqlite3_stmt*> statements_;
};

// Takes the write lock at once; what is not committed is undone.
class Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(connection) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;

  Result<> begin();
  Result<> commit();

 private:
  Connection& connection_;
  bool open_ = false;
};

}  // namespace latchkey::sqlite
