// Each server that is compared starts with the configuration that we write, and answers the same.
#include <gtest/gtest.h>

#include "bench/comparison/filled_store.h"
#include "bench/comparison/peer.h"
#include "tests/support/http_server.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

constexpr size_t kBody = 70'000;

class PeersTest : public ::testing::TestWithParam<std::string> {
 protected:
  static test::Response answer(const test::Request& request) {
    test::Response response;
    const size_t size = std::stoul(request.target.substr(1));
    for (size_t i = 0; i < size; ++i) response.body += static_cast<char>('a' + i % 26);
    return response;
  }

  PeerSetup setup(const OneCertificate& one) const {
    test::write_text(folder_ / "chain.pem", one.chain_pem);
    test::write_text(folder_ / "key.pem", one.key_pem);
    PeerSetup out;
    out.folder = folder_ / "peer";
    out.port = port_.number();
    out.upstream = origin_.port();
    out.chain = folder_ / "chain.pem";
    out.key = folder_ / "key.pem";
    out.body = kBody;
    out.cpu = 0;
    return out;
  }

  // By curl; prints the version of HTTP, a line, and the body.
  std::string get(const std::string& version) const {
    const std::string host = stored_name(0) + ":" + std::to_string(port_.number());
    test::Process::Options curl;
    curl.args = {"curl",
                 "-sk",
                 version,
                 "--tlsv1.3",
                 "--resolve",
                 host + ":127.0.0.1",
                 "-o",
                 folder_ / "body",
                 "-w",
                 "%{http_version}",
                 "https://" + host + "/" + std::to_string(kBody)};
    curl.output = folder_ / ("curl" + version);
    const test::ProgramEnded ended = test::run_to_end(std::move(curl), Millis(10'000));
    return ended.output + "\n" + test::read_text(folder_ / "body");
  }

  const test::TempFolder folder_;
  const test::ReservedPort port_{test::ReservedPort::Hold::kFree};
  const test::HttpServer origin_{answer};
};

TEST_P(PeersTest, StartsAndAnswersAsTheOriginDoes) {
  const std::string& server = GetParam();
  if (const auto version = Peer::version(server); !version) GTEST_SKIP() << version.error().message;
  const OneCertificate one = make_one_certificate();
  PeerSetup wanted = setup(one);
  if (server == "latchkey") {
    wanted.certificates = folder_ / "state";
    fill_store(wanted.certificates, 3, one.certificate);
  }
  auto peer = Peer::start(server, wanted);
  ASSERT_TRUE(peer) << peer.error().message;
  EXPECT_GT((*peer)->pid(), 0);

  test::Request request;
  request.target = "/" + std::to_string(kBody);
  const std::string body = answer(request).body;
  EXPECT_TRUE(get("--http1.1") == "1.1\n" + body) << (*peer)->log();
  if (server == "floor") return;  // it speaks HTTP/1.1 only
  EXPECT_TRUE(get("--http2") == "2\n" + body) << (*peer)->log();
  EXPECT_EQ(origin_.connections(), 1u) << "the connection to the upstream is not kept";
}

INSTANTIATE_TEST_SUITE_P(Every, PeersTest, ::testing::ValuesIn(Peer::servers()),
                         [](const auto& server) { return server.param; });

TEST(Peers, AnUnknownServerIsNamedBesideTheKnownOnes) {
  const auto peer = Peer::launch("apache", {});
  ASSERT_FALSE(peer);
  EXPECT_NE(peer.error().message.find("\"apache\""), std::string::npos);
  EXPECT_NE(peer.error().message.find("haproxy"), std::string::npos);
}

}  // namespace
}  // namespace latchkey::bench
