// certbot goes on renewing its certificates behind the edge, which serves them from its files.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/ask_site.h"
#include "tests/support/certbot.h"
#include "tests/support/eventually.h"
#include "tests/support/nginx.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

constexpr const char* kName = "www.certbot.example";
constexpr Millis kLimit{30'000};
// What is promised is 2 s; a machine under load gets some more.
constexpr Millis kSwap{kSanitized ? 10'000 : 4'000};

// Visitors who come one after the other, all the time.
class Visitors {
 public:
  Visitors(TlsOptions client, std::filesystem::path link)
      : client_(std::move(client)), link_(std::move(link)), thread_([this] { run(); }) {}
  ~Visitors() { stop(); }

  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  // Read them after stop().
  size_t visits = 0, failures = 0;
  std::string first_error, first_serial, last_serial;
  std::optional<Millis> swapped_after;  // from the change of the link to the new serial number

 private:
  void run() {
    std::error_code none;
    const auto before = std::filesystem::read_symlink(link_, none);
    std::optional<Stopwatch> changed;
    while (!stopping_) {
      if (!changed && std::filesystem::read_symlink(link_, none) != before) changed.emplace();
      const Handshake handshake = TlsClient(client_).handshake();
      ++visits;
      if (!handshake.verified && ++failures == 1) first_error = handshake.error;
      if (first_serial.empty()) first_serial = handshake.serial;
      last_serial = handshake.serial;
      if (!swapped_after && last_serial != first_serial) {
        swapped_after = changed ? changed->elapsed() : Millis(0);
      }
    }
  }

  const TlsOptions client_;
  const std::filesystem::path link_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // the last: it uses all of the above
};

// certbot gives up when a CA rejects two nonces in a row.
Site::Options taking_all_nonces() {
  Site::Options options;
  options.pebble_env = {{"PEBBLE_WFE_NONCEREJECT", "0"}};
  return options;
}

class BesideCertbotTest : public ::testing::Test {
 protected:
  BesideCertbotTest()
      : site_(taking_all_nonces()),
        certbot_(site_.folder / "certbot", site_.pebble->directory(), site_.pebble->ca_file()) {
    std::filesystem::create_directories(certbot_.live());
    EdgeSettings& settings = site_.edge.settings;
    settings.certificates = "[" + EdgeSettings::folder_of(certbot_.live()) + "]";
    settings.challenge_upstream = "http://127.0.0.1:" + std::to_string(port_.number());
  }

  void expect_a_life(const std::vector<std::string>& how) {
    ASSERT_TRUE(site_.edge.start());
    const pid_t pid = site_.edge.pid();
    const ProgramEnded obtained = certbot_.obtain({kName, "certbot.example"}, how);
    ASSERT_EQ(obtained.code, 0) << obtained.output << site_.edge.log();
    const Stopwatch since;
    ASSERT_TRUE(eventually([&] { return site_.connect(kName).handshake().verified; }, kLimit))
        << site_.edge.log();
    std::printf("the first certificate is served %d ms after certbot has ended\n",
                static_cast<int>(since.elapsed().count()));
    EXPECT_LT(since.elapsed(), kSwap);
    EXPECT_TRUE(site_.connect("certbot.example").handshake().verified);

    Visitors visitors(site_.tls(kName), certbot_.live() / kName / "fullchain.pem");
    const ProgramEnded renewed = certbot_.renew();
    EXPECT_EQ(renewed.code, 0) << renewed.output << site_.edge.log();
    const std::string first = site_.connect(kName).handshake().serial;
    std::this_thread::sleep_for(kSwap);
    visitors.stop();
    ASSERT_TRUE(visitors.swapped_after) << site_.edge.log() << first;
    std::printf("%zu handshakes, %zu failed; the new files are served after %d ms\n",
                visitors.visits, visitors.failures,
                static_cast<int>(visitors.swapped_after->count()));
    EXPECT_EQ(visitors.failures, 0u) << visitors.first_error;
    EXPECT_LT(*visitors.swapped_after, kSwap);
    EXPECT_EQ(site_.pebble->orders(), 2u);  // certbot's own
    EXPECT_EQ(site_.edge.pid(), pid);

    ASSERT_TRUE(site_.edge.terminate());
    ASSERT_TRUE(site_.edge.start());
    EXPECT_EQ(site_.connect(kName).handshake().serial, visitors.last_serial);
    EXPECT_EQ(site_.pebble->orders(), 2u);
  }

  ReservedPort port_{ReservedPort::Hold::kFree};  // of what answers certbot's challenges
  Site site_;
  Certbot certbot_;
};

TEST_F(BesideCertbotTest, ItRenewsByItsWebrootAndTheNewFilesAreServed) {
  const auto root = site_.folder / "webroot";
  std::filesystem::create_directories(root);
  const Nginx nginx(site_.folder / "nginx",
                    "server { listen 127.0.0.1:" + std::to_string(port_.number()) + "; root " +
                        root.string() + "; }\n");
  expect_a_life(Certbot::webroot(root));
}

TEST_F(BesideCertbotTest, ItRenewsStandaloneOnAnotherPortAndTheNewFilesAreServed) {
  expect_a_life(Certbot::standalone(port_.number()));
}

// Our own names and certbot's, side by side on port 80.
TEST_F(BesideCertbotTest, OurOwnChallengesAreStillOurs) {
  site_.edge.settings.challenges = {"http-01"};
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.connect("a.test").handshake().verified);
  const ProgramEnded obtained = certbot_.obtain({kName}, Certbot::standalone(port_.number()));
  EXPECT_EQ(obtained.code, 0) << obtained.output;
  EXPECT_TRUE(site_.connect("b.test").handshake().verified);
  // Nobody is there any more.
  EXPECT_EQ(site_.plain_get(kName, "/.well-known/acme-challenge/unknown-token").status, 502);
  EXPECT_EQ(site_.plain_get(kName, "/.well-known/acme-challenge/").status, 404);
  EXPECT_EQ(site_.plain_get(kName, "/.well-known/acme-challenge/../secret").status, 404);
}

}  // namespace
}  // namespace latchkey::test
