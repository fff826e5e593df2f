#pragma once
#include <filesystem>
#include <string>

#include "tests/support/namespaces.h"

namespace latchkey::test {

// A small file system in memory, mounted on `path` (which is made). After enter_own_mounts().
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path path, const std::string& size);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  void fill();            // to the last byte
  void free();            // what fill() took
  bool make_read_only();  // fails while a file in it is open for writing

 private:
  std::filesystem::path path_;
  bool mounted_ = false;
};

}  // namespace latchkey::test
