#pragma once
// Certificates for names that nobody ever visited: in Latchkey's store, and as files for the
// others.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "cache/certificate.h"

namespace latchkey::bench {

inline constexpr std::string_view kStoredSuffix = ".customers.example.com";

// "n0.customers.example.com", …
std::string stored_name(int64_t i);
// What latchkey-bench calls them: "n%d.customers.example.com".
std::string stored_range();

// The one that serves all rows, for stored_name(0): P-256, as large as that of a public CA, signed
// by an intermediate.
struct OneCertificate {
  std::string chain_pem;  // the leaf first
  std::string key_pem;
  CertificatePtr certificate;
};
OneCertificate make_one_certificate();

// The folder's files as SqliteStore wants them.
struct StoreFiles {
  std::filesystem::path database, key;

  static StoreFiles in(const std::filesystem::path& state_dir) {
    return {state_dir / "latchkey.db", state_dir / "encryption.key"};
  }
};

// A store with the certificates of stored_name(0) to stored_name(count - 1): rows as
// put_certificate() would make them, of one leaf, each with a key that is sealed for it. About 20 s
// for a million; the folder is made.
void fill_store(const std::filesystem::path& state_dir, int64_t count,
                const CertificatePtr& certificate);

// The same number of different certificates (of one key) as DIR/stored_name(i).pem, each with its
// key behind it; returns HAProxy's crt-list of them.
std::string fill_folder(const std::filesystem::path& folder, int count);

}  // namespace latchkey::bench
