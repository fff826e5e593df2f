// Twins, wildcards that names share, and staples, in the certificates in memory.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cache/certificate_cache.h"
#include "tests/support/test_certificates.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class CacheSlotsTest : public testing::Test {
 protected:
  static ServerName name(std::string_view text) {
    return *(text.starts_with("*.") ? ServerName::parse_wildcard(text) : ServerName::parse(text));
  }
  static const TestCa& ca() {
    static const TestCa one;
    return one;
  }
  static CertificatePtr ecdsa(const TestCa::Names& names) { return ca().issue(names); }
  static CertificatePtr rsa(const TestCa::Names& names) {
    static const PrivateKey key = generate_rsa_key();
    return ca().issue(names, TestCa::now() - hours(1), TestCa::now() + hours(99), key);
  }
  static GrantPtr grant_of(const std::string& tenant) {
    Grant grant;
    grant.tenant = tenant;
    return std::make_shared<const Grant>(grant);
  }
  static StaplePtr staple(std::string der) {
    return std::make_shared<const Staple>(
        Staple{std::move(der), TestCa::now(), TestCa::now() + hours(1)});
  }
  std::string tenant(std::string_view text, Slot slot = Slot::kMain) {
    const CacheHit hit = cache.look_up(name(text), now, slot);
    return hit.grant == nullptr ? "" : hit.grant->tenant;
  }

  const WallTime now = TestCa::now();
  CertificateCache cache{{}};
};

TEST_F(CacheSlotsTest, ATwinIsBesideItsMainAndOnlyForItsSlot) {
  const auto main = ecdsa({"a.test"});
  const auto twin = rsa({"a.test"});
  cache.put(name("a.test"), main);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), nullptr) << "never an ECDSA key";
  cache.put(name("a.test"), twin, {}, Slot::kRsa);
  EXPECT_EQ(cache.find(name("a.test")), main);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), twin);
  EXPECT_EQ(cache.size(), 2u);
  cache.erase(name("a.test"));
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(CacheSlotsTest, ATwinAloneServesNobodyElse) {
  cache.put(name("a.test"), rsa({"a.test"}), {}, Slot::kRsa);
  EXPECT_EQ(cache.find(name("a.test")), nullptr);
}

TEST_F(CacheSlotsTest, WhatHasNoRsaKeyIsNoTwin) {
  cache.put(name("a.test"), ecdsa({"a.test"}), {}, Slot::kRsa);
  EXPECT_EQ(cache.size(), 0u);
  cache.put(name("a.test"), rsa({"a.test"}), {}, Slot::kRsa);
  EXPECT_FALSE(cache.replace(name("a.test"), ecdsa({"a.test"}), Slot::kRsa));
  EXPECT_TRUE(cache.find(name("a.test"), Slot::kRsa)->is_rsa());
}

TEST_F(CacheSlotsTest, AMainWithAnRsaKeyIsItsOwnTwin) {
  const auto main = rsa({"a.test"});
  cache.put(name("a.test"), main, {grant_of("acme"), now});
  const CacheHit hit = cache.look_up(name("a.test"), now, Slot::kRsa);
  EXPECT_EQ(hit.certificate, main);
  EXPECT_TRUE(hit.exact);
  EXPECT_EQ(hit.grant->tenant, "acme");
  EXPECT_TRUE(hit.recheck_due);
}

TEST_F(CacheSlotsTest, WildcardsHaveTwinsToo) {
  const auto wild = ecdsa({"*.w.test"});
  const auto twin = rsa({"*.w.test"});
  cache.put(name("*.w.test"), wild);
  EXPECT_EQ(cache.find(name("a.w.test"), Slot::kRsa), nullptr);
  cache.put(name("*.w.test"), twin, {}, Slot::kRsa);
  EXPECT_EQ(cache.find(name("a.w.test")), wild);
  EXPECT_EQ(cache.find(name("a.w.test"), Slot::kRsa), twin);
  // A name of its own has no twin, but its wildcard has.
  cache.put(name("b.w.test"), ecdsa({"b.w.test"}), {grant_of("acme"), now + hours(1)});
  const CacheHit hit = cache.look_up(name("b.w.test"), now, Slot::kRsa);
  EXPECT_EQ(hit.certificate, twin);
  EXPECT_TRUE(hit.exact);
  EXPECT_EQ(hit.grant->tenant, "acme");
}

TEST_F(CacheSlotsTest, BothSlotsOfANameHaveTheSameBeside) {
  cache.put(name("a.test"), ecdsa({"a.test"}), {grant_of("old"), now + hours(1)});
  cache.put(name("a.test"), rsa({"a.test"}), {grant_of("new"), now + hours(1)}, Slot::kRsa);
  EXPECT_EQ(tenant("a.test"), "new");
  cache.set_extras(name("a.test"), {grant_of("newer"), now + hours(1)});
  EXPECT_EQ(tenant("a.test"), "newer");
  EXPECT_EQ(tenant("a.test", Slot::kRsa), "newer");
}

TEST_F(CacheSlotsTest, ARenewalInOneSlotLeavesTheOtherAlone) {
  const auto main = ecdsa({"a.test"});
  const auto twin = rsa({"a.test"});
  cache.put(name("a.test"), main);
  EXPECT_FALSE(cache.replace(name("a.test"), twin, Slot::kRsa)) << "nobody wants it in memory";
  cache.put(name("a.test"), twin, {}, Slot::kRsa);
  const auto fresh = rsa({"a.test"});
  EXPECT_TRUE(cache.replace(name("a.test"), fresh, Slot::kRsa));
  EXPECT_EQ(cache.find(name("a.test")), main);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), fresh);
}

TEST_F(CacheSlotsTest, WhatIsBesideANameIsFoundWithItsWildcard) {
  const auto wild = ecdsa({"*.w.test"});
  cache.put(name("*.w.test"), wild);
  EXPECT_FALSE(cache.look_up(name("a.w.test"), now).exact);
  cache.put_extras(name("a.w.test"), {grant_of("acme"), now});
  CacheHit hit = cache.look_up(name("a.w.test"), now);
  EXPECT_EQ(hit.certificate, wild);
  EXPECT_TRUE(hit.exact);
  EXPECT_EQ(hit.grant->tenant, "acme");
  EXPECT_TRUE(hit.recheck_due);
  EXPECT_FALSE(cache.look_up(name("a.w.test"), now).recheck_due);
  EXPECT_EQ(tenant("b.w.test"), "");
  EXPECT_EQ(cache.size(), 2u) << "it counts as an entry";

  cache.set_extras(name("a.w.test"), {grant_of("other"), now + hours(1)});
  EXPECT_EQ(tenant("a.w.test"), "other");
  cache.recheck_all(now);
  EXPECT_TRUE(cache.look_up(name("a.w.test"), now).recheck_due);

  cache.erase(name("*.w.test"));
  hit = cache.look_up(name("a.w.test"), now);
  EXPECT_EQ(hit.certificate, nullptr);
  EXPECT_FALSE(hit.exact) << "without a certificate there is nothing to know";
  EXPECT_EQ(hit.grant, nullptr);
}

TEST_F(CacheSlotsTest, ExtrasEndTheNamesOwnCertificates) {
  const auto wild = ecdsa({"*.w.test"});
  cache.put(name("a.w.test"), ecdsa({"a.w.test"}));
  cache.put(name("a.w.test"), rsa({"a.w.test"}), {}, Slot::kRsa);
  cache.put(name("*.w.test"), wild);
  cache.put_extras(name("a.w.test"), {grant_of("acme"), now + hours(1)});
  EXPECT_EQ(cache.find(name("a.w.test")), wild);
  EXPECT_EQ(cache.find(name("a.w.test"), Slot::kRsa), nullptr);
  const auto own = ecdsa({"a.w.test"});
  EXPECT_TRUE(cache.replace(name("a.w.test"), own)) << "it gets a certificate of its own";
  EXPECT_EQ(cache.find(name("a.w.test")), own);
  EXPECT_EQ(tenant("a.w.test"), "acme");
}

TEST_F(CacheSlotsTest, ARenewedWildcardIsRenewedForAllOfItsNames) {
  const auto old = ecdsa({"*.w.test"});
  for (const char* one : {"a.w.test", "b.w.test", "c.w.test"}) {
    cache.put(name(one), old, {grant_of(one), now + hours(1)});
  }
  const auto fresh = ecdsa({"*.w.test"});
  EXPECT_TRUE(cache.replace(name("*.w.test"), fresh));
  for (const char* one : {"a.w.test", "b.w.test", "c.w.test", "d.w.test"}) {
    EXPECT_EQ(cache.find(name(one)), fresh) << one;
  }
  EXPECT_EQ(tenant("b.w.test"), "b.w.test");
}

TEST_F(CacheSlotsTest, AWildcardThatComesForANameWithACertificateOfItsOwnIsForAll) {
  const auto own = ecdsa({"a.w.test"});
  cache.put(name("a.w.test"), own, {grant_of("acme"), now + hours(1)});
  const auto wild = ecdsa({"*.w.test", "w.test"});
  EXPECT_TRUE(cache.replace(name("a.w.test"), wild));
  EXPECT_EQ(cache.find(name("a.w.test")), wild);
  EXPECT_EQ(cache.find(name("b.w.test")), wild);
  EXPECT_EQ(tenant("a.w.test"), "acme");
}

TEST_F(CacheSlotsTest, AWildcardsTwinLeavesTheNamesOwnMainAlone) {
  const auto own = ecdsa({"a.w.test"});
  const auto twin = rsa({"*.w.test"});
  cache.put(name("a.w.test"), own);
  cache.put(name("a.w.test"), twin, {grant_of("acme"), now + hours(1)}, Slot::kRsa);
  EXPECT_EQ(cache.find(name("a.w.test")), own);
  EXPECT_EQ(cache.find(name("a.w.test"), Slot::kRsa), twin);
  EXPECT_EQ(tenant("a.w.test"), "acme");
  cache.put(name("b.w.test"), twin, {grant_of("b"), now + hours(1)}, Slot::kRsa);
  EXPECT_EQ(tenant("b.w.test", Slot::kRsa), "b");
  EXPECT_EQ(cache.find(name("b.w.test")), nullptr);
}

TEST_F(CacheSlotsTest, UsesOfANameBesideAWildcardAreTheWildcards) {
  cache.put(name("*.w.test"), ecdsa({"*.w.test"}));
  cache.put_extras(name("a.w.test"), {});
  EXPECT_TRUE(cache.look_up(name("a.w.test"), now).note_use);
  EXPECT_FALSE(cache.look_up(name("b.w.test"), now).note_use);
}

TEST_F(CacheSlotsTest, AStapleStandsInWhereverTheLeafIs) {
  const auto bare = rsa({"a.test", "*.w.test"});
  cache.put(name("a.test"), bare, {grant_of("acme"), now + hours(1)});
  cache.put(name("x.w.test"), bare, {grant_of("x"), now + hours(1)});
  cache.put(name("b.test"), ecdsa({"b.test"}));
  const auto other = rsa({"a.test"});
  cache.put(name("a.test"), other, {grant_of("acme"), now + hours(1)}, Slot::kRsa);
  EXPECT_TRUE(cache.look_up(name("a.test"), now).note_use);
  const size_t size = cache.size();

  const auto stapled = bare->with_staple(staple(std::string(3000, 's')));
  EXPECT_TRUE(cache.restaple(stapled));
  EXPECT_EQ(cache.find(name("a.test")), stapled);
  EXPECT_EQ(cache.find(name("x.w.test")), stapled);
  EXPECT_EQ(cache.find(name("y.w.test")), stapled);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), other) << "it is another leaf";
  EXPECT_EQ(tenant("a.test"), "acme");
  EXPECT_EQ(tenant("x.w.test"), "x");
  EXPECT_FALSE(cache.look_up(name("a.test"), now).note_use) << "it is no new certificate";
  EXPECT_EQ(cache.size(), size);
  EXPECT_GE(cache.bytes(), 2 * 3000u);
  EXPECT_FALSE(cache.restaple(ecdsa({"a.test"})));
  EXPECT_FALSE(cache.restaple(ecdsa({"gone.test"})));
}

TEST_F(CacheSlotsTest, ALeafIsErasedWhereverItIs) {
  const auto bad = ecdsa({"a.test", "b.test", "*.w.test"});
  const auto good = ecdsa({"b.test"});
  cache.put(name("a.test"), bad);
  cache.put(name("b.test"), good);
  cache.erase(*bad->with_staple(staple("s")));
  EXPECT_EQ(cache.find(name("a.test")), nullptr);
  EXPECT_EQ(cache.find(name("x.w.test")), nullptr);
  EXPECT_EQ(cache.find(name("b.test")), good);
}

TEST_F(CacheSlotsTest, ConfiguredGoesBeforeTheRestAndExactBeforeWildcard) {
  const auto own_exact = ecdsa({"a.w.test"});
  const auto own_wild = ecdsa({"*.w.test"});
  const auto exact = ecdsa({"a.w.test"});
  const auto wild = ecdsa({"*.w.test"});
  cache.put(name("a.w.test"), exact);
  cache.put(name("*.w.test"), wild);
  cache.set_configured({{own_wild}});
  EXPECT_EQ(cache.find(name("a.w.test")), exact) << "exact before wildcard";
  CacheHit hit = cache.look_up(name("b.w.test"), now);
  EXPECT_EQ(hit.certificate, own_wild);
  EXPECT_TRUE(hit.configured);
  EXPECT_FALSE(hit.exact);
  EXPECT_FALSE(hit.note_use);

  cache.set_configured({{own_wild}, {own_exact}});
  hit = cache.look_up(name("a.w.test"), now);
  EXPECT_EQ(hit.certificate, own_exact);
  EXPECT_TRUE(hit.configured);
  EXPECT_TRUE(hit.exact);
  EXPECT_FALSE(hit.note_use);
  EXPECT_EQ(cache.size(), 2u) << "they are in a class of their own";

  cache.erase(name("a.w.test"));
  cache.erase(*own_exact);
  EXPECT_EQ(cache.find(name("a.w.test")), own_exact);
  cache.set_configured({});
  EXPECT_EQ(cache.find(name("a.w.test")), wild);
  EXPECT_TRUE(cache.configured().empty());
}

TEST_F(CacheSlotsTest, ANameThatAConfiguredWildcardCoversMayHaveExtras) {
  const auto wild = ecdsa({"*.w.test"});
  cache.set_configured({{wild}});
  cache.put_extras(name("a.w.test"), {grant_of("acme"), now + hours(1)});
  const CacheHit hit = cache.look_up(name("a.w.test"), now);
  EXPECT_EQ(hit.certificate, wild);
  EXPECT_TRUE(hit.configured);
  EXPECT_TRUE(hit.exact);
  EXPECT_EQ(hit.grant->tenant, "acme");
}

TEST_F(CacheSlotsTest, NothingEvictsWhatIsConfigured) {
  CertificateCache small({.max_certificates = 1, .max_bytes = 1 << 20});
  const auto own = ecdsa({"a.test", "b.test"});
  small.set_configured({{own}});
  for (int i = 0; i < 10; ++i) small.put(name("n" + std::to_string(i) + ".test"), own);
  EXPECT_EQ(small.find(name("a.test")), own);
  EXPECT_EQ(small.find(name("b.test")), own);
}

TEST_F(CacheSlotsTest, OfTwoConfiguredForANameOneMayBeTheTwin) {
  const auto main = ecdsa({"a.test"});
  const auto twin = rsa({"a.test", "b.test"});
  cache.set_configured({{twin}, {main}});
  EXPECT_EQ(cache.find(name("a.test")), main);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), twin);
  EXPECT_EQ(cache.find(name("b.test")), twin) << "alone it is for everybody";
  EXPECT_EQ(cache.find(name("b.test"), Slot::kRsa), twin);
  const auto later = ecdsa({"a.test"});
  cache.set_configured({{main}, {later}});
  EXPECT_EQ(cache.find(name("a.test")), later);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), nullptr);
  // A stored twin serves those that the configured one cannot.
  cache.put(name("a.test"), twin, {}, Slot::kRsa);
  EXPECT_EQ(cache.find(name("a.test"), Slot::kRsa), twin);
}

TEST_F(CacheSlotsTest, AConfiguredOneKeepsItsStapleWhereTheLeafIsTheSame) {
  const auto own = ecdsa({"a.test", "b.test"});
  cache.set_configured({{own}});
  const auto stapled = own->with_staple(staple("s"));
  EXPECT_TRUE(cache.restaple(stapled));
  EXPECT_EQ(cache.find(name("b.test")), stapled);
  ASSERT_EQ(cache.configured().size(), 1u);
  EXPECT_EQ(cache.configured()[0], stapled);

  cache.set_configured({{own}, {ecdsa({"c.test"})}});  // read anew from its files
  EXPECT_EQ(cache.find(name("a.test"))->staple(), stapled->staple());
  EXPECT_EQ(cache.find(name("a.test")), cache.find(name("b.test"))) << "one object";
  const auto renewed = ecdsa({"a.test", "b.test"});
  cache.set_configured({{renewed}});
  EXPECT_EQ(cache.find(name("a.test")), renewed);
}

TEST_F(CacheSlotsTest, ThreadsSeeTheOneOrTheOtherOfWhatIsConfigured) {
  const auto one = ecdsa({"a.test", "*.w.test"});
  const auto two = one->with_staple(staple("s"));
  cache.set_configured({{one}});
  std::atomic<bool> ended = false;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!ended) {
        for (const char* text : {"a.test", "b.w.test"}) {
          const auto found = cache.find(name(text));
          ASSERT_TRUE(found != nullptr && found->same_leaf(*one));
        }
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    if (i % 3 == 0) cache.restaple(two);
    if (i % 3 == 1) cache.set_configured({{one}});
    if (i % 3 == 2) cache.put(name("b.w.test"), one);
  }
  ended = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace latchkey
