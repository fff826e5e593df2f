#include "edge/import/certbot.h"

#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "edge/import/account_folders.h"
#include "edge/import/acme_url.h"
#include "edge/import/conf_text.h"
#include "edge/import/files.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxAccounts = 10'000;  // remembered, 200 bytes each

// What all places of one tree share; immutable once the walk hands out places.
struct Tree {
  fs::path renewal;  // the folder
  // "HOST/PATH" (as the folders are named) and ID -> the account's URL.
  std::map<std::pair<std::string, std::string>, std::string> account_urls;
};
using TreePtr = std::shared_ptr<const Tree>;

fs::path root_of(const fs::path& given) {
  fs::path path = given.has_filename() ? given : given.parent_path();
  if (is_folder(path / "live")) return path;
  const bool in_a_tree = is_folder(path.parent_path() / "renewal");
  return path.filename() == "live" || in_a_tree ? path.parent_path() : path;
}

// "https://HOST/PATH" -> "HOST/PATH"
std::string server_path(const std::string& directory) {
  const size_t scheme = directory.find("://");
  return scheme == std::string::npos ? "" : directory.substr(scheme + 3);
}

void read_lineage(const Tree& tree, const fs::path& folder, ImportFindings& into) {
  Result<std::string> chain = read_import_file(folder / "fullchain.pem");
  Result<std::string> key = read_import_file(folder / "privkey.pem");
  const auto is_missing = [](const Result<std::string>& file) {
    return !file && file.error().code == ErrorCode::kNotFound;
  };
  if (is_missing(chain) && is_missing(key)) {
    std::error_code ignored;
    if (fs::is_symlink(folder / "fullchain.pem", ignored)) {
      return into.damaged(folder,
                          "its links lead to files that are not there: archive/ belongs to live/");
    }
    return into.skip(folder, "there is neither fullchain.pem nor privkey.pem in it");
  }
  if (!chain) return into.damaged(folder, chain.error().message);
  if (!key) return into.damaged(folder, key.error().message);
  ImportEntry& entry = into.entries.emplace_back();
  entry.path = folder.string();
  entry.chain_pem = *std::move(chain);
  entry.key_pem = *std::move(key);
  // Without it, it is still a good certificate.
  const Result<std::string> conf =
      read_import_file(tree.renewal / (folder.filename().string() + ".conf"));
  if (!conf) return;
  entry.directory = certbot_parameter(*conf, "server");
  const auto account =
      tree.account_urls.find({server_path(entry.directory), certbot_parameter(*conf, "account")});
  if (account != tree.account_urls.end()) entry.account = account->second;
}

void read_account(const fs::path& folder, const std::string& server, ImportFindings& into) {
  Result<std::string> key = read_import_file(folder / "private_key.json");
  if (!key) return into.damaged(folder, key.error().message);
  const Result<JsonValue> registration = read_import_json(folder / "regr.json");
  if (!registration) return into.damaged(folder, registration.error().message);
  ImportAccount& account = into.accounts.emplace_back();
  account.path = folder.string();
  account.url = std::string(registration->text_of("uri"));
  account.directory = directory_from_path(server, account.url);
  account.key_pem = *std::move(key);
}

}  // namespace

bool looks_like_certbot(const fs::path& root) {
  const fs::path tree = root_of(root);
  return is_folder(tree / "live") && (is_folder(tree / "renewal") || is_folder(tree / "archive"));
}

void walk_certbot(const fs::path& root, const ImportVisitor& visit) {
  const fs::path top = root_of(root);
  const auto tree = std::make_shared<Tree>();
  tree->renewal = top / "renewal";
  bool more = true;
  if (is_folder(top / "accounts")) {
    const auto found = [&](const fs::path& folder, const std::string& place) {
      const std::string server = place.substr(0, place.rfind('/'));
      const Result<JsonValue> registration = read_import_json(folder / "regr.json");
      if (registration && tree->account_urls.size() < kMaxAccounts) {
        tree->account_urls[{server, folder.filename().string()}] =
            std::string(registration->text_of("uri"));
      }
      return more = visit(
                 [folder, server](ImportFindings& into) { read_account(folder, server, into); });
    };
    const auto unreadable = [&](const fs::path& folder, const std::string& why) {
      return more = visit(damaged_place(folder, why));
    };
    find_account_folders(top / "accounts", "private_key.json", found, unreadable);
  }
  if (!more) return;
  const fs::path live = is_folder(top / "live") ? top / "live" : root;
  const Result<> listed = each_name_in(live, [&](const std::string& name) {
    const fs::path folder = live / name;
    if (!is_folder(folder)) return more;  // README
    return more = visit([shared = TreePtr(tree), folder](ImportFindings& into) {
             read_lineage(*shared, folder, into);
           });
  });
  if (!listed) visit(damaged_place(live, listed.error().message));
}

}  // namespace latchkey::edge
