#include "edge/import/acme_sh.h"

#include <memory>
#include <vector>

#include "edge/import/account_folders.h"
#include "edge/import/acme_url.h"
#include "edge/import/conf_text.h"
#include "edge/import/files.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxAccounts = 1000;  // remembered
constexpr size_t kMaxLooks = 1000;     // names that looks_like_acme_sh() looks at
constexpr std::string_view kEcc = "_ecc";

struct KnownAccount {
  std::string directory, url;
};

// What all places of one tree share; immutable once the walk hands out places.
struct Tree {
  std::vector<KnownAccount> accounts;  // <= kMaxAccounts
};
using TreePtr = std::shared_ptr<const Tree>;

// The name whose certificate is in a folder; "" when it is none of acme.sh's.
std::string name_in(const fs::path& folder) {
  std::string name = folder.filename().string();
  if (is_file(folder / (name + ".conf"))) return name;
  if (!name.ends_with(kEcc)) return {};
  name.resize(name.size() - kEcc.size());
  return is_file(folder / (name + ".conf")) ? name : "";
}

void read_certificate(const Tree& tree, const fs::path& folder, const std::string& name,
                      ImportFindings& into) {
  Result<std::string> chain = read_import_file(folder / "fullchain.cer");
  if (!chain && chain.error().code == ErrorCode::kNotFound && !is_file(folder / (name + ".cer"))) {
    return into.skip(folder, "no certificate has come yet: there is no fullchain.cer");
  }
  if (!chain) return into.damaged(folder, chain.error().message);
  Result<std::string> key = read_import_file(folder / (name + ".key"));
  if (!key) return into.damaged(folder, key.error().message);
  ImportEntry& entry = into.entries.emplace_back();
  entry.path = folder.string();
  entry.chain_pem = *std::move(chain);
  entry.key_pem = *std::move(key);
  const Result<std::string> conf = read_import_file(folder / (name + ".conf"));
  if (!conf) return;  // still a good certificate
  entry.directory = acme_sh_parameter(*conf, "Le_API");
  for (const KnownAccount& account : tree.accounts) {
    if (same_directory(account.directory, entry.directory)) entry.account = account.url;
  }
}

ImportAccount account_in(const fs::path& folder, const std::string& path) {
  ImportAccount account;
  account.path = folder.string();
  if (const Result<std::string> conf = read_import_file(folder / "ca.conf")) {
    account.url = acme_sh_parameter(*conf, "ACCOUNT_URL");
    account.eab_kid = acme_sh_parameter(*conf, "CA_EAB_KEY_ID");
  }
  account.directory = directory_from_path(path, account.url);
  return account;
}

// An account whose URL is not known can be looked up at the CA by its key.
void read_account(const fs::path& folder, const std::string& path, ImportFindings& into) {
  ImportAccount account = account_in(folder, path);
  Result<std::string> key = read_import_file(folder / "account.key");
  if (!key) return into.damaged(folder, key.error().message);
  account.key_pem = *std::move(key);
  into.accounts.push_back(std::move(account));
}

}  // namespace

bool looks_like_acme_sh(const fs::path& root) {
  if (is_file(root / "account.conf")) return true;
  bool found = false;
  size_t looked = 0;
  const Result<> listed = each_name_in(root, [&](const std::string& name) {
    const fs::path folder = root / name;
    found = is_folder(folder) && !name_in(folder).empty() && is_file(folder / "fullchain.cer");
    return !found && ++looked < kMaxLooks;
  });
  return listed && found;
}

void walk_acme_sh(const fs::path& root, const ImportVisitor& visit) {
  const auto tree = std::make_shared<Tree>();
  bool more = true;
  if (is_folder(root / "ca")) {
    const auto found = [&](const fs::path& folder, const std::string& place) {
      if (tree->accounts.size() < kMaxAccounts) {
        const ImportAccount account = account_in(folder, place);
        tree->accounts.push_back({account.directory, account.url});
      }
      return more = visit(
                 [folder, place](ImportFindings& into) { read_account(folder, place, into); });
    };
    const auto unreadable = [&](const fs::path& folder, const std::string& why) {
      return more = visit(damaged_place(folder, why));
    };
    find_account_folders(root / "ca", "account.key", found, unreadable);
  }
  if (!more) return;
  const Result<> listed = each_name_in(root, [&](const std::string& entry) {
    const fs::path folder = root / entry;
    const std::string name = is_folder(folder) ? name_in(folder) : "";
    if (name.empty()) return more;  // dnsapi/, deploy/, ca/, ...
    return more = visit([shared = TreePtr(tree), folder, name](ImportFindings& into) {
             read_certificate(*shared, folder, name, into);
           });
  });
  if (!listed) visit(damaged_place(root, listed.error().message));
}

}  // namespace latchkey::edge
