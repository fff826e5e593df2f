#include "cache/sqlite_schema.h"

#include <string>

namespace latchkey::sqlite {
namespace {

// Times are seconds since 1970 (milliseconds in columns named _ms). Sealed columns are SecretBox's,
// bound to table and row.
constexpr Migration kMigrations[] = {
    {1, R"sql(
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,           -- schema_version, key_check, probe
  value BLOB NOT NULL
) WITHOUT ROWID;

-- The issuers' part of a chain, once for all of its leaves.
CREATE TABLE chain (
  id      INTEGER PRIMARY KEY,
  hash    BLOB NOT NULL UNIQUE,     -- SHA-256 of issuers
  issuers BLOB NOT NULL             -- DER after DER, each behind its length (4 bytes, big-endian)
);

CREATE TABLE certificate (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: the higher is the newer
  name       TEXT NOT NULL,         -- that it was obtained for
  key_type   TEXT NOT NULL,
  generation INTEGER NOT NULL,      -- of the name: 1, 2, 3, ...
  fence      INTEGER NOT NULL DEFAULT 0,
  issuer     TEXT NOT NULL,         -- its name in the configuration
  account    TEXT,
  not_before INTEGER NOT NULL,
  not_after  INTEGER NOT NULL,
  renew_at   INTEGER NOT NULL,
  ari        BLOB,
  leaf       BLOB NOT NULL,         -- DER
  chain_id   INTEGER NOT NULL REFERENCES chain (id),
  sealed_key BLOB NOT NULL,         -- PKCS#8
  staple     BLOB,
  last_used  INTEGER                -- by the day
);
CREATE INDEX certificate_renew_at ON certificate (renew_at);
CREATE INDEX certificate_chain ON certificate (chain_id);

CREATE TABLE certificate_name (
  name TEXT NOT NULL,               -- as certificates have it, wildcards too
  id   INTEGER NOT NULL REFERENCES certificate (id) ON DELETE CASCADE,
  PRIMARY KEY (name, id)
) WITHOUT ROWID;
CREATE INDEX certificate_name_id ON certificate_name (id);

CREATE TABLE account (
  directory  TEXT PRIMARY KEY,
  url        TEXT NOT NULL,
  sealed_key BLOB NOT NULL          -- PKCS#8
) WITHOUT ROWID;

-- What could not be read, for whoever wants to know why; the newest 1000.
CREATE TABLE quarantine (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  cause      TEXT NOT NULL,
  name       TEXT NOT NULL,
  leaf       BLOB,
  issuers    BLOB,
  sealed_key BLOB
);
)sql"},
    {2, R"sql(
-- Names whose issuance failed.
CREATE TABLE failure (
  name     TEXT PRIMARY KEY,
  class    TEXT NOT NULL,           -- FailureClass
  message  TEXT NOT NULL,           -- <= 2 KiB
  issuer   TEXT NOT NULL,           -- its name in the configuration, or ''
  count    INTEGER NOT NULL,        -- in a row
  first_at INTEGER NOT NULL,        -- of the row
  last_at  INTEGER NOT NULL,
  next_try INTEGER NOT NULL
);
CREATE INDEX failure_next_try ON failure (next_try, name);

-- The ask endpoint's positive answers.
CREATE TABLE verdict (
  name        TEXT PRIMARY KEY,
  asked       INTEGER NOT NULL,
  until       INTEGER NOT NULL,     -- fresh so long
  stale_until INTEGER NOT NULL,     -- of use so long while the endpoint says neither yes nor no
  granted     TEXT NOT NULL         -- Grant: a JSON object of what was said, or ''
) WITHOUT ROWID;
CREATE INDEX verdict_stale_until ON verdict (stale_until, name);

-- What is left of the limits; no row: a full bucket.
CREATE TABLE bucket (
  issuer        TEXT NOT NULL,      -- its name in the configuration; '': our own limit
  kind          TEXT NOT NULL,      -- LimitKind
  key           TEXT NOT NULL,      -- whom it limits, or ''
  full_at_ms    INTEGER NOT NULL,
  held_until_ms INTEGER NOT NULL,   -- 0: no hold
  idle_at_ms    INTEGER NOT NULL,   -- the later of the two: from then on the row is useless
  PRIMARY KEY (issuer, kind, key)
) WITHOUT ROWID;
CREATE INDEX bucket_idle_at ON bucket (idle_at_ms);
)sql"},
    {3, R"sql(
-- When a certificate is renewed, and what was seen of its name. last_used is to the second now.
ALTER TABLE certificate ADD COLUMN end_at INTEGER NOT NULL DEFAULT 0;  -- smallest in the chain
ALTER TABLE certificate ADD COLUMN serial TEXT NOT NULL DEFAULT '';    -- hex; '': not known
ALTER TABLE certificate ADD COLUMN look_at INTEGER;       -- NULL: once somebody has come again
ALTER TABLE certificate ADD COLUMN window_start INTEGER;  -- of the CA, that renew_at was chosen in
ALTER TABLE certificate ADD COLUMN window_end INTEGER;
ALTER TABLE certificate ADD COLUMN poll_at INTEGER;       -- of the CA, for its window; NULL: never
ALTER TABLE certificate ADD COLUMN denied_since INTEGER;  -- by the policy, at a renewal
UPDATE certificate SET end_at = not_after, look_at = renew_at, poll_at = 0,
  last_used = coalesce(last_used, CAST(strftime('%s', 'now') AS INTEGER));
DROP INDEX certificate_renew_at;
CREATE INDEX certificate_look_at ON certificate (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX certificate_end_at ON certificate (end_at);

ALTER TABLE account ADD COLUMN next_sealed_key BLOB;  -- a key rollover is under way
ALTER TABLE account ADD COLUMN eab_kid TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN deactivated INTEGER NOT NULL DEFAULT 0;

-- Orders that a CA has accepted and that have not come to an end.
CREATE TABLE order_state (
  name       TEXT PRIMARY KEY,
  issuer     TEXT NOT NULL,         -- its name in the configuration
  directory  TEXT NOT NULL,         -- URLs
  account    TEXT NOT NULL,
  url        TEXT NOT NULL,
  sealed_key BLOB NOT NULL,         -- PKCS#8 of the certificate to come
  profile    TEXT NOT NULL,
  made       INTEGER NOT NULL,
  renewal    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX order_state_made ON order_state (made, name);

-- Of each name the newest 100, of those without a name 10 000.
CREATE TABLE event (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- the higher is the newer
  at         INTEGER NOT NULL,
  kind       TEXT NOT NULL,         -- event_kind
  name       TEXT NOT NULL,         -- or ''
  issuer     TEXT NOT NULL,         -- or ''
  text       TEXT NOT NULL,         -- <= 2 KiB
  details    TEXT NOT NULL,         -- a JSON object, <= 4 KiB, or ''
  keep_until INTEGER NOT NULL
);
CREATE INDEX event_name ON event (name, id);
CREATE INDEX event_keep_until ON event (keep_until);
)sql"},
    {4, R"sql(
-- Of a name there may be two: for everybody (0), and its twin for clients without ECDSA (1).
ALTER TABLE certificate ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;

CREATE TABLE order_state_of_slot (
  name       TEXT NOT NULL,
  slot       INTEGER NOT NULL,
  issuer     TEXT NOT NULL,         -- its name in the configuration
  directory  TEXT NOT NULL,         -- URLs
  account    TEXT NOT NULL,
  url        TEXT NOT NULL,
  sealed_key BLOB NOT NULL,         -- PKCS#8 of the certificate to come
  profile    TEXT NOT NULL,
  made       INTEGER NOT NULL,
  renewal    INTEGER NOT NULL,
  PRIMARY KEY (name, slot)
) WITHOUT ROWID;
INSERT INTO order_state_of_slot
  SELECT name, 0, issuer, directory, account, url, sealed_key, profile, made, renewal
  FROM order_state;
DROP TABLE order_state;
ALTER TABLE order_state_of_slot RENAME TO order_state;
CREATE INDEX order_state_made ON order_state (made, name);

-- OCSP responses, and when responders are asked: of stored certificates, and of configured ones.
CREATE TABLE staple (
  leaf        BLOB PRIMARY KEY,     -- SHA-256 of the leaf
  name        TEXT NOT NULL,        -- one that leads to the certificate
  slot        INTEGER NOT NULL,
  der         BLOB,                 -- NULL: none
  this_update INTEGER,
  next_update INTEGER,
  look_at     INTEGER,              -- NULL: never
  end_at      INTEGER NOT NULL      -- of the leaf
);
CREATE INDEX staple_look_at ON staple (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX staple_end_at ON staple (end_at);

-- TXT records that are published for challenges, or about to be.
CREATE TABLE dns_proof (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  domain     TEXT NOT NULL,
  value      TEXT NOT NULL,
  identifier TEXT NOT NULL,
  made       INTEGER NOT NULL
);
)sql"},
    {5, R"sql(
-- Embedded authorities; `authority` is a name in the configuration. Their CA keys, and the
-- certificates about them.
CREATE TABLE authority_key (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- the higher is the newer
  authority   TEXT NOT NULL,
  root        INTEGER NOT NULL,
  parent      INTEGER NOT NULL,     -- the root that signed it; 0 for a root
  certificate BLOB NOT NULL,        -- DER
  link        BLOB NOT NULL,        -- DER, or x''
  not_before  INTEGER NOT NULL,
  not_after   INTEGER NOT NULL,
  sealed_key  BLOB NOT NULL         -- PKCS#8
);

-- With rowids: rows are large and keys are random, so the rows are appended and only small
-- indexes are written in many places.
CREATE TABLE issued_certificate (
  authority  TEXT NOT NULL,
  serial     TEXT NOT NULL,         -- hex, lower case
  signer     INTEGER NOT NULL,      -- authority_key's id
  holder     TEXT NOT NULL,         -- acme_account's id, or ''
  not_before INTEGER NOT NULL,
  not_after  INTEGER NOT NULL,
  leaf       BLOB NOT NULL,         -- DER
  revoked_at INTEGER,               -- NULL: it is not
  reason     INTEGER NOT NULL,      -- RFC 5280, 5.3.1
  PRIMARY KEY (authority, serial)
);
CREATE INDEX issued_certificate_not_after ON issued_certificate (authority, not_after);
CREATE INDEX issued_certificate_revoked ON issued_certificate (authority, signer, serial)
  WHERE revoked_at IS NOT NULL;

CREATE TABLE acme_account (
  authority  TEXT NOT NULL,
  id         TEXT NOT NULL,
  thumbprint TEXT NOT NULL,         -- RFC 7638
  document   TEXT NOT NULL,         -- JSON
  PRIMARY KEY (authority, id),
  UNIQUE (authority, thumbprint)
) WITHOUT ROWID;

CREATE TABLE acme_order (           -- with rowids, see above
  authority TEXT NOT NULL,
  id        TEXT NOT NULL,
  account   TEXT NOT NULL,
  expires   INTEGER NOT NULL,
  document  TEXT NOT NULL,          -- JSON, with the authorizations
  PRIMARY KEY (authority, id)
);
CREATE INDEX acme_order_account ON acme_order (authority, account, id);
CREATE INDEX acme_order_expires ON acme_order (authority, expires);
)sql"},
};

// The version of the database: 0 for an empty one.
Result<int> current_version(Connection& connection) {
  bool ours = false;
  int64_t tables = 0;
  {
    Query query = connection.query(
        "SELECT count(*), coalesce(sum(name = 'meta'), 0) "
        "FROM sqlite_schema WHERE type = 'table'");
    auto row = query.next();
    if (!row) return std::move(row).error();
    tables = query.integer(0);
    ours = query.integer(1) == 1;
  }
  if (tables == 0) return 0;
  if (ours) {
    Query query = connection.query("SELECT value FROM meta WHERE key = 'schema_version'");
    auto row = query.next();
    if (row && *row && query.integer(0) > 0) return static_cast<int>(query.integer(0));
  }
  return Error{ErrorCode::kInvalid, "the database " + connection.file().string() +
                                        " belongs to another program: name another file"};
}

Result<> apply(Connection& connection, const Migration& step) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  if (auto done = connection.execute(step.sql); !done) return done;
  {
    Query query = connection.query(
        "INSERT INTO meta (key, value) VALUES ('schema_version', ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value");
    if (auto done = query.bind(int64_t{step.version}).run(); !done) return done;
  }
  return transaction.commit();
}

Error too_new(const Connection& connection, int version, int last) {
  return Error{ErrorCode::kInvalid,
               "the database " + connection.file().string() + " has schema " +
                   std::to_string(version) +
                   ", made by a newer version of this program, which "
                   "knows schemas up to " +
                   std::to_string(last) +
                   ": start the newer version, or restore a backup from before the upgrade"};
}

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

Result<> migrate(Connection& connection, std::span<const Migration> steps) {
  const auto version = current_version(connection);
  if (!version) return version.error();
  const int last = steps.back().version;
  if (*version > last) return too_new(connection, *version, last);
  for (const Migration& step : steps) {
    if (step.version <= *version) continue;
    if (auto done = apply(connection, step); !done) {
      return std::move(done).error().in("upgrading the database to schema " +
                                        std::to_string(step.version));
    }
  }
  return Unit{};
}

Result<> check_schema(Connection& connection) {
  const auto version = current_version(connection);
  if (!version) return version.error();
  const int last = migrations().back().version;
  if (*version > last) return too_new(connection, *version, last);
  if (*version == last) return Unit{};
  return Error{ErrorCode::kInvalid, "the database " + connection.file().string() + " has schema " +
                                        std::to_string(*version) + ", and this program reads " +
                                        std::to_string(last) +
                                        ": start it once with \"latchkey run\", which upgrades "
                                        "the database"};
}

}  // namespace latchkey::sqlite
