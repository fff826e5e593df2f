#include "edge/front/error_pages.h"

#include <algorithm>

#include "base/file.h"

namespace latchkey::edge {

bool is_error_page_key(std::string_view text) {
  if (text == "default") return true;
  return text.size() == 3 && (text[0] == '4' || text[0] == '5') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::shared_ptr<const ErrorPages>> ErrorPages::load(
    const std::vector<std::pair<std::string, std::string>>& files,
    const std::function<std::filesystem::path(const std::string&)>& resolve) {
  auto out = std::make_shared<ErrorPages>();
  for (const auto& [key, file] : files) {
    const std::filesystem::path path = resolve(file);
    auto text = read_file(path, kMaxPage);
    if (!text) return std::move(text).error().in("error_pages." + key);
    const std::string ending = path.extension().string();
    const char* type = ending == ".json"  ? "application/json"
                       : ending == ".txt" ? "text/plain; charset=utf-8"
                                          : "text/html; charset=utf-8";
    out->pages_[key == "default" ? 0 : std::stoi(key)] = {*std::move(text), type};
  }
  return std::shared_ptr<const ErrorPages>(std::move(out));
}

const ErrorPages::Page* ErrorPages::find(int status) const {
  auto found = pages_.find(status);
  if (found == pages_.end()) found = pages_.find(0);
  return found == pages_.end() ? nullptr : &found->second;
}

}  // namespace latchkey::edge
