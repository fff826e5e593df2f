#pragma once
// An authority over a store in memory and a clock that is moved by hand.

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "acme/authority/authority.h"
#include "base/log.h"
#include "cache/private_key.h"
#include "tests/support/fake_authority_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {

class AuthorityFixture : public testing::Test {
 protected:
  // The store in memory answers at once: so does the task.
  template <typename T>
  static Result<T> outcome_of(Task<T> task) {
    task.start();
    if (!task.done()) return Error{ErrorCode::kTimeout, "the task waits"};
    return std::move(task.outcome());
  }

  std::unique_ptr<Authority> start(const Lifetimes& lifetimes, bool guard = true,
                                   const std::string& status_url = "") {
    AuthorityOptions options;
    options.name = "local";
    options.lifetimes = lifetimes;
    options.status_url = status_url;
    options.guard = guard;
    auto authority = std::make_unique<Authority>(options, store, clock, log);
    const auto kept = outcome_of(authority->keep());
    EXPECT_TRUE(kept) << kept.error().message;
    return authority;
  }

  LeafRequest request(const std::string& name) const {
    LeafRequest request;
    request.names = {*ServerName::parse(name)};
    request.public_key = public_key;
    return request;
  }
  IssuedCertificate sign(Authority& authority, const std::string& name) {
    auto leaf = outcome_of(authority.sign(request(name)));
    if (!leaf) {
      ADD_FAILURE() << leaf.error().message;
      return {};
    }
    return *std::move(leaf);
  }

  FakeAuthorityStore store;
  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, LogLevel::kError};
  const PrivateKey leaf_key = generate_p256_key();
  const std::string public_key = public_key_to_der(leaf_key);
};

}  // namespace latchkey::acme
