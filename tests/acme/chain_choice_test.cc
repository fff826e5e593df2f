#include "acme/chain_choice.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

TEST(ChainChoice, AChainEndsUnderTheIssuerOfItsLastCertificate) {
  const TestCa ca("Old");
  const std::string chain = ca.issue_pem({"a.test"}, generate_p256_key());
  EXPECT_TRUE(ends_under(chain, "Old Root"));
  EXPECT_FALSE(ends_under(chain, "Old Intermediate")) << "that is only the leaf's issuer";
  EXPECT_FALSE(ends_under(chain, "old root")) << "names are compared as they are";
  EXPECT_FALSE(ends_under(chain, "Old"));
  EXPECT_TRUE(ends_under(chain + ca.root_pem, "Old Root")) << "with its root";
  const std::string leaf = chain.substr(0, chain.find(ca.intermediate_pem));
  EXPECT_TRUE(ends_under(leaf, "Old Intermediate"));
}

TEST(ChainChoice, WhatIsNoChainEndsUnderNothing) {
  for (const std::string& bad :
       {std::string(), std::string("junk"), std::string(200 << 10, '\n')}) {
    EXPECT_FALSE(ends_under(bad, ""));
    EXPECT_FALSE(ends_under(bad, "Old Root"));
  }
}

}  // namespace
}  // namespace latchkey::acme
