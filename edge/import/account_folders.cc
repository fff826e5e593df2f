#include "edge/import/account_folders.h"

#include "edge/import/files.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 8;
constexpr size_t kMaxFolders = 20'000;  // looked into

struct Search {
  const std::string key_file;
  const std::function<bool(const fs::path&, const std::string&)>& found;
  const std::function<bool(const fs::path&, const std::string&)>& unreadable;
  size_t looked = 0;
  bool more = true;

  void look_in(const fs::path& folder, const std::string& place, int depth) {
    if (++looked > kMaxFolders || depth > kMaxDepth) return;
    if (is_file(folder / key_file)) {
      more = found(folder, place);
      return;
    }
    const Result<> listed = each_name_in(folder, [&](const std::string& name) {
      if (is_folder(folder / name)) {
        look_in(folder / name, place.empty() ? name : place + "/" + name, depth + 1);
      }
      return more;
    });
    if (!listed && more) more = unreadable(folder, listed.error().message);
  }
};

}  // namespace

void find_account_folders(
    const fs::path& top, std::string_view key_file,
    const std::function<bool(const fs::path&, const std::string&)>& found,
    const std::function<bool(const fs::path&, const std::string&)>& unreadable) {
  Search search{std::string(key_file), found, unreadable};
  search.look_in(top, "", 0);
}

}  // namespace latchkey::edge
