// The floor and the origin, as bench/compare starts them.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/bench/bench_server.h"
#include "tests/support/http_exchange.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"

namespace latchkey::test {
namespace {

using namespace std::chrono_literals;

std::string letters(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + i % 26);
  return out;
}

TEST(OriginTest, AnswersWithAsManyBytesAsThePathSays) {
  BenchServer origin({LATCHKEY_BENCH_ORIGIN, "--listen", "127.0.0.1:0"});
  PlainClient client(origin.port);
  ASSERT_TRUE(client.connected());
  HttpConversation http(client);
  for (const size_t size : {0, 1, 1024, 65536, 1 << 20, 9'000'000}) {
    const HttpAnswer answer = http.get("a.test", "/" + std::to_string(size));
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == letters(size)) << size;
  }
  EXPECT_EQ(origin.stop(), 0);
}

TEST(OriginTest, AnswersRequestsThatCameTogetherInTheirOrder) {
  BenchServer origin({LATCHKEY_BENCH_ORIGIN, "--listen", "127.0.0.1:0"});
  PlainClient client(origin.port);
  // The large one does not fit into the kernel's buffers, so the third waits.
  const std::string requests =
      "GET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /9000000 HTTP/1.1\r\nHost: a\r\n\r\n"
      "POST /5 HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\n\r\nbodyGET /7 HTTP/1.1\r\n\r\n";
  ASSERT_TRUE(client.write(requests));
  HttpConversation http(client);
  for (const size_t size : {3, 9'000'000, 5, 7}) {
    EXPECT_TRUE(http.read_answer().body == letters(size)) << size;
  }
}

TEST(OriginTest, TakesARequestInAnyPieces) {
  BenchServer origin({LATCHKEY_BENCH_ORIGIN, "--listen", "127.0.0.1:0"});
  const std::string request =
      "POST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzGET /4 HTTP/1.1\r\n\r\n";
  PlainClient client(origin.port);
  HttpConversation http(client);
  for (size_t split = 1; split < request.size(); ++split) {
    ASSERT_TRUE(client.write(request.substr(0, split)));
    ASSERT_TRUE(client.write(request.substr(split)));
    EXPECT_EQ(http.read_answer().body, letters(2));
    EXPECT_EQ(http.read_answer().body, letters(4));
  }
}

TEST(OriginTest, RefusesWhatItDoesNotDo) {
  BenchServer origin({LATCHKEY_BENCH_ORIGIN, "--listen", "127.0.0.1:0"});
  for (const char* const request :
       {"GET /none HTTP/1.1\r\n\r\n", "HEAD /1 HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
        "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    PlainClient client(origin.port);
    ASSERT_TRUE(client.write(request));
    EXPECT_EQ(HttpConversation(client).read_answer().status, 400) << request;
  }
}

class FloorTest : public testing::Test {
 protected:
  FloorTest() {
    const CertificatePtr certificate = ca.issue({"floor.test"});
    std::ofstream(folder / "key.pem") << private_key_pem(certificate->key());
    std::ofstream(folder / "chain.pem") << ca.issue_pem({"floor.test"}, certificate->key());
  }

  std::vector<std::string> command(size_t body, bool close = false) const {
    std::vector<std::string> out{LATCHKEY_BENCH_FLOOR, "--listen", "127.0.0.1:0"};
    for (const char* const text : {"--cert", "chain.pem", "--key", "key.pem"}) {
      out.push_back(std::string_view(text).starts_with("--") ? text : folder / text);
    }
    out.insert(out.end(), {"--body", std::to_string(body)});
    if (close) out.push_back("--close");
    return out;
  }

  TlsOptions options(uint16_t port) const {
    TlsOptions out;
    out.port = port;
    out.sni = "floor.test";
    out.roots = ca.root_pem;
    return out;
  }

  TestCa ca;
  TempFolder folder;
};

TEST_F(FloorTest, ServesTheCertificateAndTheSameBytesForEveryRequest) {
  BenchServer floor(command(100'000));
  TlsClient client(options(floor.port));
  EXPECT_TRUE(client.handshake().verified);
  HttpConversation http(client);
  for (int i = 0; i < 3; ++i) {
    const HttpAnswer answer = http.get("floor.test", "/any");
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == letters(100'000));
  }
  EXPECT_EQ(floor.stop(), 0);
}

TEST_F(FloorTest, WaitsWhereTheClientDoesNotRead) {
  BenchServer floor(command(9'000'000));
  TlsClient client(options(floor.port));
  ASSERT_TRUE(client.write("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"));
  HttpConversation http(client);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(http.read_answer().body == letters(9'000'000));
}

TEST_F(FloorTest, ResumesASession) {
  BenchServer floor(command(1));
  TlsOptions again = options(floor.port);
  {
    TlsClient first(options(floor.port));
    HttpConversation(first).get("floor.test");
    again.session = first.session();
    ASSERT_NE(again.session, nullptr);
  }
  TlsClient second(again);
  EXPECT_TRUE(second.handshake().resumed);
  EXPECT_EQ(HttpConversation(second).get("floor.test").body, "a");
}

TEST_F(FloorTest, AnswersTheEndOfAConnection) {
  BenchServer floor(command(1));
  TlsClient client(options(floor.port));
  ASSERT_TRUE(client.handshake().done);
  client.finish_writing();
  EXPECT_EQ(client.read(), "");  // a close_notify, too
}

TEST_F(FloorTest, FindsTheEndOfARequestInAnyPieces) {
  BenchServer floor(command(1));
  TlsClient client(options(floor.port));
  HttpConversation http(client);
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t split = 1; split < request.size(); ++split) {
    ASSERT_TRUE(client.write(request.substr(0, split)));
    ASSERT_TRUE(client.write(request.substr(split)));
    EXPECT_EQ(http.read_answer().body, "a");
  }
}

TEST_F(FloorTest, ClosesAfterTheAnswerWhenTold) {
  BenchServer floor(command(70'000, true));
  TlsClient client(options(floor.port));
  HttpConversation http(client);
  EXPECT_TRUE(http.get("floor.test").body == letters(70'000));
  EXPECT_TRUE(http.ended());
}

TEST_F(FloorTest, SaysWhatIsWrongWithItsOptions) {
  const auto refused = [&](std::vector<std::string> args) {
    return run_to_end(
        {.args = std::move(args), .env = {}, .output = folder / "out", .directory = {}}, 5s);
  };
  ProgramEnded ended = refused({LATCHKEY_BENCH_FLOOR, "--listen", "127.0.0.1:0"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_NE(ended.output.find("--cert is missing"), std::string::npos) << ended.output;

  ended = refused({LATCHKEY_BENCH_ORIGIN, "--listen", "nowhere"});
  EXPECT_EQ(ended.code, 2);
  EXPECT_NE(ended.output.find("expected an address like"), std::string::npos) << ended.output;

  auto swapped = command(1);
  std::swap(swapped[4], swapped[6]);
  EXPECT_EQ(refused(swapped).code, 2);
}

}  // namespace
}  // namespace latchkey::test
