// What has happened is told: to the table, to a webhook, to a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <atomic>

#include "base/json.h"
#include "base/text.h"
#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSecret = "5e5d0c1f2a3b4c5d6e7f80910a1b2c3d";

std::string signature(const std::string& text) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), kSecret, std::string_view(kSecret).size(),
       reinterpret_cast<const uint8_t*>(text.data()), text.size(), mac.data(), &size);
  return "sha256=" + to_hex(mac.data(), size);
}

std::string webhook(const std::string& url, const std::filesystem::path& secret) {
  return R"({"webhook": {"url": ")" + url + R"(", "secret_file": ")" + secret.string() + R"("}})";
}

std::filesystem::path secret_file(const Site& site) {
  const auto file = site.folder / "webhook-secret";
  write_text(file, std::string(kSecret) + "\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  return file;
}

TEST(EventsTest, ANewCertificateIsToldToTheWebhookUntilItListens) {
  std::atomic<int> count = 0;
  HttpServer receiver([&count](const Request&) {
    Response response;
    if (++count == 1) response.status = 503;
    return response;
  });
  Site site;
  site.edge.settings.events = webhook(receiver.url("/in"), secret_file(site));
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("a.test").handshake.verified);
  ASSERT_TRUE(eventually([&] { return count >= 2; }));

  const std::vector<Request> seen = receiver.seen();
  for (const Request& request : {seen[0], seen[1]}) {
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.header("x-latchkey-event"), "certificate_obtained");
    EXPECT_EQ(request.header("x-latchkey-signature"),
              signature(request.header("x-latchkey-timestamp") + "." + request.body));
  }
  EXPECT_EQ(seen[0].header("x-latchkey-delivery"), seen[1].header("x-latchkey-delivery"));
  const auto body = parse_json(seen[1].body);
  ASSERT_TRUE(body) << seen[1].body;
  EXPECT_EQ(body->text_of("kind"), "certificate_obtained");
  EXPECT_EQ(body->text_of("name"), "a.test");

  const JsonValue table = site.edge.admin_json("GET", "/names/a.test/events");
  const JsonValue* const rows = table.find("events");
  ASSERT_NE(rows, nullptr);
  ASSERT_EQ(rows->items.size(), 1u);
  EXPECT_EQ(rows->items[0].text_of("kind"), "certificate_obtained");
  EXPECT_EQ(rows->items[0].text_of("text"), body->text_of("text"));
  EXPECT_THAT(site.edge.log(), Not(HasSubstr(kSecret)));
  EXPECT_EQ(site.edge.terminate()->code, 0);
}

TEST(EventsTest, AReceiverThatHangsHoldsNobodyUp) {
  HttpServer receiver([](const Request&) {
    Response response;
    response.hang = true;
    return response;
  });
  Site site;
  site.edge.settings.events = webhook(receiver.url("/in"), secret_file(site));
  ASSERT_TRUE(site.edge.start());
  for (const char* name : {"a.test", "b.test", "c.test", "d.test", "e.test", "f.test"}) {
    ASSERT_TRUE(site.visit(name).handshake.verified) << name;
  }
  EXPECT_LE(receiver.most_at_once(), 4u);
  const Stopwatch time;
  EXPECT_EQ(site.edge.terminate()->code, 0);
  EXPECT_LT(time.elapsed(), Millis(5000));
  EXPECT_EQ(site.edge.count("webhook_undelivered"), 1u);
}

TEST(EventsTest, AProgramIsRunForEachEventAndHasNothingOfOurs) {
  Site site;
  const auto program = site.folder / "hook";
  const std::string out = (site.folder / "out").string();
  write_text(program, "#!/bin/sh\nls -l /proc/$$/fd > " + out + ".fds; cat > " + out +
                          ".part; mv " + out + ".part " + out + "; exit 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  site.edge.settings.events =
      R"({"hook": {"program": ")" + program.string() + R"(", "kinds": ["certificate_obtained"]}})";
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("a.test").handshake.verified);
  ASSERT_TRUE(site.edge.wait_for("hook_failed"));
  const auto event = parse_json(read_text(out));
  ASSERT_TRUE(event) << read_text(out);
  EXPECT_EQ(event->text_of("name"), "a.test");
  const std::string fds = read_text(out + ".fds");
  EXPECT_THAT(fds, HasSubstr("/hook"));
  EXPECT_THAT(fds, Not(HasSubstr("socket:")));
  EXPECT_THAT(fds, Not(HasSubstr(".db")));
  EXPECT_THAT(fds, Not(HasSubstr("anon_inode")));
  EXPECT_TRUE(site.edge.logged("ended with code 3"));
  ASSERT_TRUE(site.visit("a.test").handshake.verified);
}

TEST(EventsTest, ValidateLooksWhetherTheProgramCanBeRun) {
  Site site;
  site.edge.settings.events = R"({"hook": {"program": "/nowhere/hook"}})";
  const auto config = site.folder / "other.json";
  write_text(config, site.edge.settings.json());
  const Edge::Outcome outcome =
      Edge::run(site.folder.path(), {"validate", "--config", config.string()});
  EXPECT_EQ(outcome.code, 78);
  EXPECT_THAT(outcome.output, HasSubstr("events.hook.program: /nowhere/hook cannot be run"));
}

}  // namespace
}  // namespace latchkey::test
