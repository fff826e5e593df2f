#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace latchkey::edge {

// The operator's pages for what we answer ourselves, by status. Immutable.
class ErrorPages {
 public:
  static constexpr size_t kMaxPage = 256 << 10;  // bytes of each of <= 600

  struct Page {
    std::string text;
    std::string type;  // Content-Type, by the file's name: .html, .txt or .json
  };

  // `files`: "404" and the like, or "default", and a path. All or nothing; the error names the key.
  static Result<std::shared_ptr<const ErrorPages>> load(
      const std::vector<std::pair<std::string, std::string>>& files,
      const std::function<std::filesystem::path(const std::string&)>& resolve);

  // Of the status, else the default one; null: there is none.
  const Page* find(int status) const;

 private:
  std::map<int, Page> pages_;  // by status; 0: the default
};

// "400" to "599", or "default".
bool is_error_page_key(std::string_view text);

}  // namespace latchkey::edge
