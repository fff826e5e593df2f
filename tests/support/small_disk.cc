#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {

SmallDisk::SmallDisk(std::filesystem::path path, const std::string& size) : path_(std::move(path)) {
  std::filesystem::create_directories(path_);
  const std::string options = "mode=0700,size=" + size;
  mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

SmallDisk::~SmallDisk() {
  if (mounted_) umount2(path_.c_str(), MNT_DETACH);
}

void SmallDisk::fill() {
  const Fd file(open((path_ / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  for (const size_t size : {size_t{65536}, size_t{512}, size_t{1}}) {
    const std::string part(size, 'f');
    while (write(file.get(), part.data(), part.size()) > 0) {
    }
  }
}

void SmallDisk::free() {
  std::filesystem::remove(path_ / "filler");
}

bool SmallDisk::make_read_only() {
  return mount("none", path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

}  // namespace latchkey::test
