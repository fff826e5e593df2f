#include "edge/import/caddy.h"

#include <memory>
#include <optional>

#include "edge/admin_query.h"
#include "edge/import/acme_url.h"
#include "edge/import/files.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxUserFiles = 100;  // looked at in an account's folder

// What the places of one issuer share.
struct CaddyIssuer {
  std::string key;      // "acme-v02.api.letsencrypt.org-directory", "local"
  std::string account;  // the URL of its one account; "": there are none, or several
};

fs::path root_of(const fs::path& given) {
  fs::path path = given.has_filename() ? given : given.parent_path();
  if (is_folder(path / "certificates")) return path;
  if (is_folder(path / "caddy" / "certificates")) return path / "caddy";
  return path.filename() == "certificates" ? path.parent_path() : path;
}

// A member that is an object; null for none.
const JsonValue* object_in(const JsonValue* value, std::string_view key) {
  const JsonValue* const found = value == nullptr ? nullptr : value->find(key);
  return found != nullptr && found->is(JsonValue::Kind::kObject) ? found : nullptr;
}

// Go writes what was never set as the year 1.
std::optional<WallTime> time_in(const JsonValue& value, std::string_view key) {
  const std::optional<WallTime> at = parse_time(value.text_of(key));
  return at && *at > WallTime() ? at : std::nullopt;
}

// What CertMagic noted beside the certificate. Whatever is odd there does not spoil a certificate.
void read_issuer_data(const JsonValue& json, const CaddyIssuer& issuer, ImportEntry& entry) {
  const JsonValue* const data = object_in(&json, "issuer_data");
  if (data != nullptr) {
    entry.directory = std::string(data->text_of("ca"));
    entry.account = std::string(data->text_of("account"));
    if (entry.directory.empty()) {
      entry.directory = directory_from_caddy_key(issuer.key, data->text_of("url"));
    }
    if (const JsonValue* const info = object_in(data, "renewal_info")) {
      const JsonValue* const suggested = object_in(info, "suggestedWindow");
      const auto start = suggested == nullptr ? std::nullopt : time_in(*suggested, "start");
      const auto end = suggested == nullptr ? std::nullopt : time_in(*suggested, "end");
      if (start && end && *start < *end) {
        entry.window = RenewalWindow{*start, *end};
        entry.renew_at = time_in(*info, "_selectedTime");
      }
    }
  }
  if (entry.directory.empty()) entry.directory = directory_from_caddy_key(issuer.key, "");
  if (entry.account.empty() && !entry.directory.empty()) entry.account = issuer.account;
}

void read_certificate(const CaddyIssuer& issuer, const fs::path& folder, ImportFindings& into) {
  const std::string base = folder.filename().string();
  Result<std::string> chain = read_import_file(folder / (base + ".crt"));
  Result<std::string> key = read_import_file(folder / (base + ".key"));
  const auto is_missing = [](const Result<std::string>& file) {
    return !file && file.error().code == ErrorCode::kNotFound;
  };
  if (is_missing(chain) && is_missing(key)) {
    return into.skip(folder, "there is neither a .crt nor a .key of that name in it");
  }
  if (!chain) return into.damaged(folder, chain.error().message);
  if (!key) return into.damaged(folder, key.error().message);
  ImportEntry& entry = into.entries.emplace_back();
  entry.path = folder.string();
  entry.chain_pem = *std::move(chain);
  entry.key_pem = *std::move(key);
  const Result<JsonValue> json = read_import_json(folder / (base + ".json"));
  read_issuer_data(json ? *json : JsonValue(), issuer, entry);
}

// The account's URL in a registration of today, or of before 2020.
std::string account_url(const JsonValue& registration) {
  std::string url(registration.text_of("location"));
  const JsonValue* const old = object_in(&registration, "Registration");
  if (url.empty() && old != nullptr) url = std::string(old->text_of("uri"));
  return url;
}

// The files are named after the part of EMAIL before the '@': the first pair is it.
std::string user_in(const fs::path& folder) {
  std::string user;
  size_t looked = 0;
  const Result<> listed = each_name_in(folder, [&](const std::string& name) {
    const fs::path file(name);
    if (file.extension() == ".json" && is_file(folder / (file.stem().string() + ".key"))) {
      user = file.stem().string();
    }
    return user.empty() && ++looked < kMaxUserFiles;
  });
  return listed ? user : "";
}

void read_account(const std::string& issuer_key, const fs::path& folder, ImportFindings& into) {
  const std::string user = user_in(folder);
  if (user.empty()) return into.skip(folder, "there is no account's .json with its .key in it");
  const Result<JsonValue> registration = read_import_json(folder / (user + ".json"));
  if (!registration) return into.damaged(folder, registration.error().message);
  Result<std::string> key = read_import_file(folder / (user + ".key"));
  if (!key) return into.damaged(folder, key.error().message);
  ImportAccount& account = into.accounts.emplace_back();
  account.path = folder.string();
  account.url = account_url(*registration);
  account.directory = directory_from_caddy_key(issuer_key, account.url);
  account.key_pem = *std::move(key);
}

// The URL of the only account that there is for an issuer.
std::string only_account(const fs::path& users) {
  std::string url;
  size_t accounts = 0;
  if (!is_folder(users)) return {};
  const Result<> listed = each_name_in(users, [&](const std::string& name) {
    const std::string user = user_in(users / name);
    if (user.empty()) return true;
    const Result<JsonValue> registration = read_import_json(users / name / (user + ".json"));
    url = registration ? account_url(*registration) : "";
    return ++accounts < 2;
  });
  return listed && accounts == 1 ? url : "";
}

// All folders in `parent`. False: no more are wanted.
bool visit_folders(const fs::path& parent, const ImportVisitor& visit,
                   const std::function<ImportPlace(const fs::path&)>& place_of) {
  bool more = true;
  const Result<> listed = each_name_in(parent, [&](const std::string& name) {
    if (is_folder(parent / name)) more = visit(place_of(parent / name));
    return more;
  });
  if (!listed) more = visit(damaged_place(parent, listed.error().message));
  return more;
}

}  // namespace

bool looks_like_caddy(const fs::path& root) {
  return is_folder(root_of(root) / "certificates");
}

void walk_caddy(const fs::path& root, const ImportVisitor& visit) {
  const fs::path top = root_of(root);
  bool more = true;
  const auto each_issuer = [&](const fs::path& parent, const auto& look) {
    if (!more || !is_folder(parent)) return;
    const Result<> listed = each_name_in(parent, [&](const std::string& name) {
      if (is_folder(parent / name)) look(name);
      return more;
    });
    if (!listed) more = visit(damaged_place(parent, listed.error().message));
  };
  each_issuer(top / "acme", [&](const std::string& name) {
    const fs::path users = top / "acme" / name / "users";
    if (!is_folder(users)) return;
    more = visit_folders(users, visit, [&](const fs::path& folder) -> ImportPlace {
      return [name, folder](ImportFindings& into) { read_account(name, folder, into); };
    });
  });
  each_issuer(top / "certificates", [&](const std::string& name) {
    const auto issuer = std::make_shared<CaddyIssuer>();
    issuer->key = name;
    issuer->account = only_account(top / "acme" / name / "users");
    more = visit_folders(
        top / "certificates" / name, visit, [&](const fs::path& folder) -> ImportPlace {
          const std::shared_ptr<const CaddyIssuer> shared = issuer;
          return
              [shared, folder](ImportFindings& into) { read_certificate(*shared, folder, into); };
        });
  });
}

}  // namespace latchkey::edge
