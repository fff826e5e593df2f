// The store's part for embedded authorities.
#include "cache/sqlite_authority.h"
#include "cache/sqlite_store_impl.h"

namespace latchkey {

using sqlite::Connection;

class SqliteStore::Authorities final : public AuthorityStore {
 public:
  explicit Authorities(Impl& impl) : impl_(impl) {}

  Task<std::vector<AuthorityKey>> load_authority_keys(std::string authority) override {
    return impl_.read<std::vector<AuthorityKey>>(
        [box = impl_.box, authority = std::move(authority)](Connection& connection) {
          return sqlite::load_authority_keys(connection, box, authority);
        });
  }
  Task<int64_t> put_authority_key(AuthorityKey key) override {
    impl_.group.flush();  // puts that came before go before
    return impl_.write<int64_t>([box = impl_.box, key = std::move(key)](Connection& connection) {
      return sqlite::put_authority_key(connection, box, key);
    });
  }

  Task<> put_issued(IssuedCertificate certificate, std::optional<AcmeOrderRow> order) override {
    return impl_.group.write<Unit>(
        [certificate = std::move(certificate), order = std::move(order)](Connection& connection) {
          return sqlite::put_issued(connection, certificate, order);
        });
  }
  Task<std::optional<IssuedCertificate>> find_issued(std::string authority,
                                                     std::string serial) override {
    return impl_.read<std::optional<IssuedCertificate>>(
        [authority = std::move(authority), serial = std::move(serial)](Connection& connection) {
          return sqlite::find_issued(connection, authority, serial);
        });
  }
  Task<bool> revoke_issued(std::string authority, std::string serial, WallTime at,
                           int reason) override {
    return impl_.group.write<bool>([authority = std::move(authority), serial = std::move(serial),
                                    at, reason](Connection& connection) {
      return sqlite::revoke_issued(connection, authority, serial, at, reason);
    });
  }
  Task<std::vector<IssuedCertificate>> list_revoked(std::string authority, int64_t signer,
                                                    WallTime now) override {
    return impl_.read<std::vector<IssuedCertificate>>(
        [authority = std::move(authority), signer, now](Connection& connection) {
          return sqlite::list_revoked(connection, authority, signer, now);
        });
  }

  Task<> put_acme_account(AcmeAccountRow account) override {
    return impl_.group.write<Unit>([account = std::move(account)](Connection& connection) {
      return sqlite::put_acme_account(connection, account);
    });
  }
  Task<std::optional<AcmeAccountRow>> find_acme_account(std::string authority,
                                                        std::string id) override {
    return impl_.read<std::optional<AcmeAccountRow>>(
        [authority = std::move(authority), id = std::move(id)](Connection& connection) {
          return sqlite::find_acme_account(connection, authority, id);
        });
  }
  Task<std::optional<AcmeAccountRow>> find_acme_account_by_key(std::string authority,
                                                               std::string thumbprint) override {
    return impl_.read<std::optional<AcmeAccountRow>>(
        [authority = std::move(authority),
         thumbprint = std::move(thumbprint)](Connection& connection) {
          return sqlite::find_acme_account_by_key(connection, authority, thumbprint);
        });
  }
  Task<size_t> count_acme_accounts(std::string authority) override {
    return impl_.read<size_t>([authority = std::move(authority)](Connection& connection) {
      return sqlite::count_acme_accounts(connection, authority);
    });
  }

  Task<> put_acme_order(AcmeOrderRow order) override {
    return impl_.group.write<Unit>([order = std::move(order)](Connection& connection) {
      return sqlite::put_acme_order(connection, order);
    });
  }
  Task<std::optional<AcmeOrderRow>> find_acme_order(std::string authority,
                                                    std::string id) override {
    return impl_.read<std::optional<AcmeOrderRow>>(
        [authority = std::move(authority), id = std::move(id)](Connection& connection) {
          return sqlite::find_acme_order(connection, authority, id);
        });
  }
  Task<std::vector<std::string>> list_acme_orders(std::string authority, std::string account,
                                                  std::string after, size_t limit) override {
    return impl_.read<std::vector<std::string>>(
        [authority = std::move(authority), account = std::move(account), after = std::move(after),
         limit](Connection& connection) {
          return sqlite::list_acme_orders(connection, authority, account, after, limit);
        });
  }
  Task<std::vector<std::string>> last_acme_orders(std::string authority, std::string account,
                                                  size_t limit) override {
    return impl_.read<std::vector<std::string>>([authority = std::move(authority),
                                                 account = std::move(account),
                                                 limit](Connection& connection) {
      return sqlite::last_acme_orders(connection, authority, account, limit);
    });
  }

  Task<bool> sweep_authority(std::string authority, WallTime now,
                             WallTime certificates_before) override {
    return impl_.write<bool>(
        [authority = std::move(authority), now, certificates_before](Connection& connection) {
          return sqlite::sweep_authority(connection, authority, now, certificates_before);
        });
  }

 private:
  Impl& impl_;
};

std::unique_ptr<AuthorityStore> SqliteStore::Impl::make_authorities() {
  return std::make_unique<Authorities>(*this);
}

AuthorityStore& SqliteStore::authority_store() {
  return *impl_->authorities;
}

}  // namespace latchkey
