#include "acme/link_header.h"

#include <algorithm>
#include <optional>

#include "acme/ca_url.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxLinks = 8;
constexpr size_t kMaxHeader = 16 << 10;  // bytes; what is behind them is not looked at

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

// A cursor over one header: link-values, each "<" URI ">" with parameters, between commas.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text.substr(0, kMaxHeader)) {}

  struct Link {
    std::string_view url;
    std::string relations;
  };

  // nullopt at the end, and at what cannot be understood.
  std::optional<Link> next() {
    skip(" \t,");
    if (!take('<')) return std::nullopt;
    const size_t end = rest_.find('>');
    if (end == std::string_view::npos) return std::nullopt;
    Link link{rest_.substr(0, end), ""};
    rest_.remove_prefix(end + 1);
    bool related = false;  // only the first "rel" counts (RFC 8288, 3.3)
    for (;;) {
      skip(" \t");
      if (!take(';')) break;
      skip(" \t");
      const std::string_view name = token();
      skip(" \t");
      std::string value;
      if (take('=')) {
        skip(" \t");
        std::optional<std::string> read = parameter();
        if (!read) return std::nullopt;
        value = *std::move(read);
      }
      if (is_rel(name) && !std::exchange(related, true)) link.relations = std::move(value);
    }
    if (!rest_.empty() && rest_.front() != ',') return std::nullopt;
    return link;
  }

 private:
  static bool is_rel(std::string_view name) {
    return name.size() == 3 && (name[0] | 32) == 'r' && (name[1] | 32) == 'e' &&
           (name[2] | 32) == 'l';
  }
  void skip(std::string_view what) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(what), rest_.size()));
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view token() {
    const std::string_view found = rest_.substr(0, rest_.find_first_of(" \t=;,\"<>"));
    rest_.remove_prefix(found.size());
    return found;
  }
  // A token or a quoted string; nullopt for one that does not end.
  std::optional<std::string> parameter() {
    if (!take('"')) return std::string(token());
    std::string value;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return value;
      if (c != '\\') {
        value += c;
      } else if (!rest_.empty()) {
        value += rest_.front();
        rest_.remove_prefix(1);
      }
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

// Relations stand side by side, in any case of letters.
bool has_relation(std::string_view relations, std::string_view wanted) {
  while (!relations.empty()) {
    const auto end = std::find_if(relations.begin(), relations.end(), is_space);
    const auto size = static_cast<size_t>(end - relations.begin());
    if (same_text(relations.substr(0, size), wanted)) return true;
    relations.remove_prefix(std::min(size + 1, relations.size()));
  }
  return false;
}

}  // namespace

std::vector<std::string> links_of(const std::vector<std::string>& headers,
                                  std::string_view relation) {
  std::vector<std::string> urls;
  for (const std::string& header : headers) {
    Reader reader(header);
    while (const auto link = reader.next()) {
      if (urls.size() == kMaxLinks) return urls;
      if (!has_relation(link->relations, relation)) continue;
      Result<std::string> url = check_ca_url("Link", link->url);
      if (!url || std::find(urls.begin(), urls.end(), *url) != urls.end()) continue;
      urls.push_back(*std::move(url));
    }
  }
  return urls;
}

}  // namespace latchkey::acme
