#include "tests/support/faulty_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"

namespace latchkey::test {
namespace {

using Fault = FaultyVfs::Fault;

// A stretch of a file as it was before a write or a truncation.
struct Before {
  sqlite3_int64 size = 0;  // of the file
  sqlite3_int64 offset = 0;
  std::string bytes;
};

// What is known of a file, whoever has it open.
struct Known {
  std::vector<sqlite3_file*> open;  // the real ones
  std::vector<Before> unsynced;     // the oldest first
};

struct State {
  std::mutex mutex;
  // Guarded by mutex.
  Fault fault = Fault::kNone;
  int after_writes = 0;
  int failures = 0;
  bool power = true;
  std::map<std::string, Known> files;

  sqlite3_vfs vfs{};
  sqlite3_io_methods methods{};
  sqlite3_vfs* real = nullptr;
};
State* g_state = nullptr;  // SQLite's callbacks have no other way to it

// What SQLite allocates for a file: ours, then the real one.
struct File {
  sqlite3_file base;
  sqlite3_file* real;
  const char* path;  // SQLite's, as long as the file is open; null for a temporary one
};

File& ours(sqlite3_file* file) {
  return *reinterpret_cast<File*>(file);
}

int fail(int status, int error) {
  ++g_state->failures;
  errno = error;
  return status;
}

// REQUIRES: the lock.
bool off() {
  return !g_state->power;
}

Before remember(sqlite3_file* real, sqlite3_int64 offset, sqlite3_int64 length) {
  Before before;
  real->pMethods->xFileSize(real, &before.size);
  before.offset = offset;
  const sqlite3_int64 count = std::clamp<sqlite3_int64>(before.size - offset, 0, length);
  before.bytes.resize(static_cast<size_t>(count));
  if (count > 0) {
    CHECK(real->pMethods->xRead(real, before.bytes.data(), static_cast<int>(count), offset) ==
          SQLITE_OK);
  }
  return before;
}

void undo(Known& known) {
  sqlite3_file* real = known.open.empty() ? nullptr : known.open.front();
  for (auto at = known.unsynced.rbegin(); real != nullptr && at != known.unsynced.rend(); ++at) {
    if (!at->bytes.empty()) {
      real->pMethods->xWrite(real, at->bytes.data(), static_cast<int>(at->bytes.size()),
                             at->offset);
    }
    sqlite3_int64 size = 0;
    real->pMethods->xFileSize(real, &size);
    if (size > at->size) real->pMethods->xTruncate(real, at->size);
  }
  known.unsynced.clear();
}

int write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  File& mine = ours(file);
  const std::lock_guard lock(g_state->mutex);
  if (off()) return fail(SQLITE_IOERR_WRITE, EIO);
  const bool now = g_state->after_writes == 0;
  if (!now) --g_state->after_writes;
  if (now) {
    switch (g_state->fault) {
      case Fault::kDiskFull:
        return fail(SQLITE_FULL, ENOSPC);
      case Fault::kReadOnly:
        return fail(SQLITE_IOERR_WRITE, EROFS);
      case Fault::kWriteError:
        return fail(SQLITE_IOERR_WRITE, EIO);
      case Fault::kPowerCut:
        g_state->power = false;
        for (auto& [path, known] : g_state->files) undo(known);
        mine.real->pMethods->xWrite(mine.real, bytes, count / 2, offset);
        return fail(SQLITE_IOERR_WRITE, EIO);
      case Fault::kNone:
      case Fault::kReadError:
      case Fault::kSyncError:
        break;
    }
  }
  if (mine.path != nullptr && g_state->fault == Fault::kPowerCut) {
    g_state->files[mine.path].unsynced.push_back(remember(mine.real, offset, count));
  }
  return mine.real->pMethods->xWrite(mine.real, bytes, count, offset);
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  File& mine = ours(file);
  const std::lock_guard lock(g_state->mutex);
  const bool bad = g_state->fault == Fault::kReadOnly || g_state->fault == Fault::kWriteError;
  if (off() || (bad && g_state->after_writes == 0)) return fail(SQLITE_IOERR_TRUNCATE, EIO);
  if (mine.path != nullptr && g_state->fault == Fault::kPowerCut) {
    constexpr sqlite3_int64 kAll = 1 << 30;
    g_state->files[mine.path].unsynced.push_back(remember(mine.real, size, kAll));
  }
  return mine.real->pMethods->xTruncate(mine.real, size);
}

int read(sqlite3_file* file, void* bytes, int count, sqlite3_int64 offset) {
  File& mine = ours(file);
  const std::lock_guard lock(g_state->mutex);
  const bool bad = g_state->fault == Fault::kReadError && g_state->after_writes == 0;
  if (off() || bad) return fail(SQLITE_IOERR_READ, EIO);
  return mine.real->pMethods->xRead(mine.real, bytes, count, offset);
}

int sync(sqlite3_file* file, int flags) {
  File& mine = ours(file);
  const std::lock_guard lock(g_state->mutex);
  const bool bad = g_state->fault == Fault::kSyncError && g_state->after_writes == 0;
  if (off() || bad) return fail(SQLITE_IOERR_FSYNC, EIO);
  const int status = mine.real->pMethods->xSync(mine.real, flags);
  if (status == SQLITE_OK && mine.path != nullptr) g_state->files[mine.path].unsynced.clear();
  return status;
}

int close(sqlite3_file* file) {
  File& mine = ours(file);
  const std::lock_guard lock(g_state->mutex);
  if (mine.path != nullptr) std::erase(g_state->files[mine.path].open, mine.real);
  return mine.real->pMethods->xClose(mine.real);
}

// What is handed on as it is.
template <auto method, typename... Args>
auto pass(sqlite3_file* file, Args... args) {
  sqlite3_file* real = ours(file).real;
  return (real->pMethods->*method)(real, args...);
}

int open(sqlite3_vfs*, sqlite3_filename path, sqlite3_file* file, int flags, int* out_flags) {
  File& mine = ours(file);
  mine.base.pMethods = nullptr;
  mine.real = reinterpret_cast<sqlite3_file*>(&mine + 1);
  mine.path = path;
  const std::lock_guard lock(g_state->mutex);
  if (off()) return fail(SQLITE_CANTOPEN, EIO);
  const int status = g_state->real->xOpen(g_state->real, path, mine.real, flags, out_flags);
  if (status != SQLITE_OK) return status;
  if (path != nullptr) g_state->files[path].open.push_back(mine.real);
  mine.base.pMethods = &g_state->methods;
  return SQLITE_OK;
}

int remove(sqlite3_vfs*, const char* path, int sync_folder) {
  const std::lock_guard lock(g_state->mutex);
  if (off()) return fail(SQLITE_IOERR_DELETE, EIO);
  g_state->files[path].unsynced.clear();
  return g_state->real->xDelete(g_state->real, path, sync_folder);
}

sqlite3_io_methods make_methods() {
  sqlite3_io_methods methods{};
  using M = sqlite3_io_methods;
  methods.iVersion = 2;  // with shared memory, without mapped files
  methods.xClose = close;
  methods.xRead = read;
  methods.xWrite = write;
  methods.xTruncate = truncate;
  methods.xSync = sync;
  methods.xFileSize = pass<&M::xFileSize, sqlite3_int64*>;
  methods.xLock = pass<&M::xLock, int>;
  methods.xUnlock = pass<&M::xUnlock, int>;
  methods.xCheckReservedLock = pass<&M::xCheckReservedLock, int*>;
  methods.xFileControl = pass<&M::xFileControl, int, void*>;
  methods.xSectorSize = pass<&M::xSectorSize>;
  methods.xDeviceCharacteristics = pass<&M::xDeviceCharacteristics>;
  methods.xShmMap = pass<&M::xShmMap, int, int, int, void volatile**>;
  methods.xShmLock = pass<&M::xShmLock, int, int, int>;
  methods.xShmBarrier = pass<&M::xShmBarrier>;
  methods.xShmUnmap = pass<&M::xShmUnmap, int>;
  return methods;
}

}  // namespace

FaultyVfs::FaultyVfs() {
  CHECK(g_state == nullptr);
  g_state = new State;
  g_state->methods = make_methods();
  g_state->real = sqlite3_vfs_find(nullptr);
  g_state->vfs = *g_state->real;
  g_state->vfs.szOsFile = static_cast<int>(sizeof(File)) + g_state->real->szOsFile;
  g_state->vfs.zName = "faulty";
  g_state->vfs.pNext = nullptr;
  g_state->vfs.xOpen = open;
  g_state->vfs.xDelete = remove;
  CHECK(sqlite3_vfs_register(&g_state->vfs, 0) == SQLITE_OK);
}

FaultyVfs::~FaultyVfs() {
  sqlite3_vfs_unregister(&g_state->vfs);
  delete g_state;
  g_state = nullptr;
}

void FaultyVfs::set(Fault fault, int after_writes) {
  const std::lock_guard lock(g_state->mutex);
  g_state->fault = fault;
  g_state->after_writes = after_writes;
  g_state->failures = 0;
  if (fault == Fault::kNone) g_state->power = true;
  if (fault != Fault::kPowerCut) return;
  for (auto& [path, known] : g_state->files) known.unsynced.clear();
}

int FaultyVfs::failures() const {
  const std::lock_guard lock(g_state->mutex);
  return g_state->failures;
}

}  // namespace latchkey::test
