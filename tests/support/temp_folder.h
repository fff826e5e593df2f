#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace latchkey::test {

// A folder of one test's own, gone with everything in it when this goes. Kept where it is, and its
// place printed, when the test failed and LATCHKEY_KEEP=1 is set.
class TempFolder {
 public:
  TempFolder();
  // Within `parent`.
  explicit TempFolder(const std::filesystem::path& parent);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// For so many bytes of small files: in memory where there is room, for some disks take a second for
// every few hundred; else where temporary files go.
std::filesystem::path roomy_parent(uint64_t bytes);

std::string read_text(const std::filesystem::path& file);  // "" if it cannot be read
void write_text(const std::filesystem::path& file, std::string_view text);

}  // namespace latchkey::test
