#include "policy/allowlist.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/json.h"
#include "policy/name_set.h"

namespace latchkey {
namespace {

constexpr size_t kMaxReported = 100;  // bad lines of one file

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\v\f";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

Error invalid(std::string_view rule) {
  return Error{ErrorCode::kInvalid, std::string(rule)};
}

}  // namespace

struct Allowlist::Impl {
  NameSet exact;
  NameSet suffixes;  // without their "*."
  std::vector<size_t> lines_of_files;

  // "" when it was added, else what is wrong with it.
  std::string add(std::string_view text) {
    Result<Entry> entry = parse_entry(text);
    if (!entry) return entry.error().message + ", got " + json_quote(trim(text).substr(0, 80));
    NameSet& set = entry->suffix ? suffixes : exact;
    if (!set.insert(entry->name) && !set.contains(entry->name)) return "too many names";
    return {};
  }

  Result<> read(const std::filesystem::path& path, std::vector<BadLine>& bad_lines);
};

Result<> Allowlist::Impl::read(const std::filesystem::path& path, std::vector<BadLine>& bad_lines) {
  const auto unreadable = [&path](std::string_view why) {
    return Error{ErrorCode::kIo, "allowlist " + path.string() + ": " + std::string(why) +
                                     "; put a file there that our user can read, or take it out of "
                                     "on_demand.allow_files"};
  };
  // Whoever opens a pipe waits for its writer.
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  using Type = std::filesystem::file_type;
  if (type == Type::directory || type == Type::fifo || type == Type::socket) {
    return unreadable("is no regular file");
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable(std::strerror(errno));
  std::string line;
  size_t bad = 0, good = 0;
  for (size_t number = 1; std::getline(file, line); ++number) {
    std::string_view text = line;
    if (number == 1 && text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    text = trim(text.substr(0, text.find('#')));
    if (text.empty()) continue;
    std::string what = add(text);
    if (what.empty()) {
      ++good;
    } else if (++bad <= kMaxReported) {
      bad_lines.push_back({path.string() + ":" + std::to_string(number), std::move(what)});
    }
  }
  if (file.bad()) return unreadable("reading failed");
  lines_of_files.push_back(good);
  if (bad > kMaxReported) {
    bad_lines.push_back({path.string(), std::to_string(bad - kMaxReported) + " more bad lines"});
  }
  return Unit{};
}

Result<Allowlist::Entry> Allowlist::parse_entry(std::string_view text) {
  const std::string_view trimmed = trim(text);
  if (trimmed == "*" || trimmed == "*.") {
    return invalid("\"*\" would allow every name: list suffixes, or use an ask endpoint");
  }
  const bool suffix = trimmed.starts_with("*.");
  const std::string_view bare = suffix ? trimmed.substr(2) : trimmed;
  if (bare.find('*') != bare.npos) return invalid("a \"*\" may only be the first label, as \"*.\"");
  if (bare.starts_with('.')) return invalid("a suffix is written \"*.example.net\"");
  Result<ServerName> name = ServerName::parse(bare, {.underscore = true});
  if (!name) return std::move(name).error();
  return Entry{name->text(), suffix};
}

Result<std::shared_ptr<const Allowlist>> Allowlist::load(
    const std::vector<std::string>& entries, const std::vector<std::filesystem::path>& files,
    std::vector<BadLine>& bad_lines, const std::vector<ServerName>& exact) {
  auto impl = std::make_unique<Impl>();
  for (const ServerName& name : exact) impl->exact.insert(name.text());
  for (size_t i = 0; i < entries.size(); ++i) {
    std::string what = impl->add(entries[i]);
    if (what.empty()) continue;
    bad_lines.push_back({"on_demand.allow[" + std::to_string(i) + "]", std::move(what)});
  }
  for (const std::filesystem::path& file : files) {
    Result<> read = impl->read(file, bad_lines);
    if (!read) return std::move(read).error();
  }
  impl->exact.shrink();
  impl->suffixes.shrink();
  return std::shared_ptr<const Allowlist>(new Allowlist(std::move(impl)));
}

Allowlist::Allowlist(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Allowlist::~Allowlist() = default;

Allowlist::Match Allowlist::find(const ServerName& name) const {
  std::string_view rest = name.text();
  if (impl_->exact.contains(rest)) return Match::kExact;
  for (size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.')) {
    rest.remove_prefix(dot + 1);
    if (impl_->suffixes.contains(rest)) return Match::kSuffix;
  }
  return Match::kNone;
}

size_t Allowlist::size() const {
  return impl_->exact.size() + impl_->suffixes.size();
}
const std::vector<size_t>& Allowlist::lines_of_files() const {
  return impl_->lines_of_files;
}
size_t Allowlist::bytes() const {
  return impl_->exact.bytes() + impl_->suffixes.bytes();
}

}  // namespace latchkey
