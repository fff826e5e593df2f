#pragma once
// Trees as other programs leave them.

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "acme/base64url.h"
#include "base/json.h"
#include "edge/import/format.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {

inline constexpr const char* kDirectory = "https://ca.test:14000/dir";
inline constexpr const char* kAccountUrl = "https://ca.test:14000/my-account/1";

// A certificate's files, in PEM.
struct Pair {
  std::string chain, key;
};

inline Pair make_pair_of(const TestCa& ca, const TestCa::Names& names, PrivateKey key = nullptr) {
  if (key == nullptr) key = generate_p256_key();
  return {ca.issue_pem(names, key), private_key_pem(key)};
}

inline void write_file(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::create_directories(file.parent_path());
  test::write_text(file, text);
}

inline std::string base64url_number(const BIGNUM* number) {
  std::string bytes(BN_num_bytes(number), '\0');
  BN_bn2bin(number, reinterpret_cast<uint8_t*>(bytes.data()));
  return acme::base64url(bytes);
}

// A private key as certbot writes it.
inline std::string jwk_of(const PrivateKey& key) {
  JsonObject out;
  if (const RSA* const rsa = EVP_PKEY_get0_RSA(key.get())) {
    return out.text("kty", "RSA")
        .text("n", base64url_number(RSA_get0_n(rsa)))
        .text("e", base64url_number(RSA_get0_e(rsa)))
        .text("d", base64url_number(RSA_get0_d(rsa)))
        .text("p", base64url_number(RSA_get0_p(rsa)))
        .text("q", base64url_number(RSA_get0_q(rsa)))
        .text("dp", base64url_number(RSA_get0_dmp1(rsa)))
        .text("dq", base64url_number(RSA_get0_dmq1(rsa)))
        .text("qi", base64url_number(RSA_get0_iqmp(rsa)))
        .str();
  }
  const EC_KEY* const ec = EVP_PKEY_get0_EC_KEY(key.get());
  const bssl::UniquePtr<BIGNUM> x(BN_new()), y(BN_new());
  EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec), x.get(),
                                      y.get(), nullptr);
  return out.text("kty", "EC")
      .text("crv", EVP_PKEY_bits(key.get()) == 384 ? "P-384" : "P-256")
      .text("x", base64url_number(x.get()))
      .text("y", base64url_number(y.get()))
      .text("d", base64url_number(EC_KEY_get0_private_key(ec)))
      .str();
}

// live/NAME with its links into archive/, and renewal/NAME.conf.
inline void add_lineage(const std::filesystem::path& root, const std::string& name,
                        const Pair& pair, const std::string& account_id = "0123abcd") {
  const auto archive = root / "archive" / name, live = root / "live" / name;
  write_file(archive / "fullchain1.pem", pair.chain);
  write_file(archive / "privkey1.pem", pair.key);
  std::filesystem::create_directories(live);
  std::filesystem::create_symlink("../../archive/" + name + "/fullchain1.pem",
                                  live / "fullchain.pem");
  std::filesystem::create_symlink("../../archive/" + name + "/privkey1.pem", live / "privkey.pem");
  write_file(live / "README", "This directory contains your keys and certificates.\n");
  write_file(root / "renewal" / (name + ".conf"),
             "# renew_before_expiry = 30 days\nversion = 2.1.0\nserver = https://wrong.test/\n"
             "[renewalparams]\naccount = " +
                 account_id + "\nserver = " + kDirectory + "\nkey_type = ecdsa\n[[webroot_map]]\n" +
                 name + " = /var/www\n");
  write_file(root / "live" / "README", "...\n");
}

inline std::filesystem::path certbot_account_folder(const std::filesystem::path& root,
                                                    const std::string& id = "0123abcd") {
  return root / "accounts" / "ca.test:14000" / "dir" / id;
}

inline void add_certbot_account(const std::filesystem::path& root, const PrivateKey& key,
                                const std::string& id = "0123abcd",
                                const std::string& url = kAccountUrl) {
  const auto folder = certbot_account_folder(root, id);
  write_file(folder / "private_key.json", jwk_of(key));
  write_file(folder / "regr.json", R"({"body": {}, "uri": ")" + url + "\"}");
  write_file(folder / "meta.json", "{}");
}

inline constexpr const char* kCaddyKey = "ca.test-14000-dir";

inline std::filesystem::path caddy_folder(const std::filesystem::path& root,
                                          const std::string& name) {
  return root / "certificates" / kCaddyKey / name;
}

inline void add_caddy_site(const std::filesystem::path& root, const std::string& name,
                           const Pair& pair, const std::string& issuer_data) {
  const auto folder = caddy_folder(root, name);
  write_file(folder / (name + ".crt"), pair.chain);
  write_file(folder / (name + ".key"), pair.key);
  write_file(folder / (name + ".json"),
             R"({"sans": [")" + name + R"("], "issuer_data": )" + issuer_data + "}");
}

inline void add_caddy_account(const std::filesystem::path& root, const PrivateKey& key,
                              const std::string& url = kAccountUrl,
                              const std::string& email = "o@a.test") {
  const auto folder = root / "acme" / kCaddyKey / "users" / email;
  const std::string user = email.substr(0, email.find('@'));
  write_file(folder / (user + ".json"), R"({"status": "valid", "contact": ["mailto:)" + email +
                                            R"("], "location": ")" + url + "\"}");
  write_file(folder / (user + ".key"), private_key_pem(key));
}

// NAME/ or NAME_ecc/.
inline void add_acme_sh_name(const std::filesystem::path& root, const std::string& name,
                             const Pair& pair, bool ecc) {
  const auto folder = root / (ecc ? name + "_ecc" : name);
  write_file(folder / "fullchain.cer", pair.chain);
  write_file(folder / (name + ".cer"), pair.chain);
  write_file(folder / (name + ".key"), pair.key);
  write_file(folder / (name + ".conf"), "Le_Domain='" + name +
                                            "'\nLe_Alt='no'\nLe_ReloadCmd='__ACME_BASE64__START_"
                                            "cmVsb2Fk__ACME_BASE64__END_'\nLe_API='" +
                                            kDirectory + "'\nLe_NextRenewTime='1750000000'\n");
}

inline void add_acme_sh_account(const std::filesystem::path& root, const PrivateKey& key) {
  // acme.sh drops the port.
  const auto folder = root / "ca" / "ca.test" / "dir";
  write_file(folder / "account.key", private_key_pem(key));
  write_file(folder / "account.json", "{}");
  write_file(folder / "ca.conf", std::string("CA_KEY_HASH='abc='\nACCOUNT_URL='") + kAccountUrl +
                                     "'\nCA_EAB_KEY_ID='kid-1'\n");
  write_file(root / "account.conf", "LOG_LEVEL='1'\n");
}

// All that is found, sorted by path.
inline ImportFindings read_tree(const std::vector<std::filesystem::path>& paths,
                                ImportFormat format = ImportFormat::kAuto) {
  ImportFindings found;
  walk_imports(paths, format, [&](const ImportPlace& place) {
    place(found);
    return true;
  });
  const auto by_path = [](const auto& a, const auto& b) { return a.path < b.path; };
  std::sort(found.entries.begin(), found.entries.end(), by_path);
  std::sort(found.accounts.begin(), found.accounts.end(), by_path);
  std::sort(found.skips.begin(), found.skips.end(), by_path);
  return found;
}

}  // namespace latchkey::edge
