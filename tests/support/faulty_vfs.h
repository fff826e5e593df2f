#pragma once
#include <string>

namespace latchkey::test {

// SQLite's way to the disk, with faults that a test switches on and off: for all files that are
// opened with its name. Any thread. One lives at a time; files that were opened with it are closed
// before it goes.
class FaultyVfs {
 public:
  enum class Fault {
    kNone,
    kDiskFull,    // ENOSPC at each write
    kReadOnly,    // EROFS at each write
    kReadError,   // EIO
    kWriteError,  // EIO
    kSyncError,   // EIO
    // The power goes: of the next write only half is done, of what was not synced before nothing is
    // left, and from then on nothing works. kNone: the power is back.
    kPowerCut,
  };

  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;

  // What Connection::open() is given.
  static std::string name() { return "faulty"; }

  // From now on; or after so many writes more.
  void set(Fault fault, int after_writes = 0);
  // Operations that failed since the last set().
  int failures() const;
};

}  // namespace latchkey::test
