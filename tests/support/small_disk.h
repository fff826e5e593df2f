#pragma once
#include <filesystem>
#include <string>

namespace latchkey::test {

// Gives this process, and what it starts, a view of the file systems of its own. Call it before
// any thread is started. False where the kernel does not let us.
bool enter_own_mounts();

// A small file system in memory, mounted on `path` (which is made). After enter_own_mounts().
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path path, const std::string& size);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  void fill();  // to the last byte
  void free();  // what fill() took
  bool make_read_only();

 private:
  std::filesystem::path path_;
  bool mounted_ = false;
};

}  // namespace latchkey::test
