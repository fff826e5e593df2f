// The harness itself: what the other tests believe must be true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "tests/support/client_hello.h"
#include "tests/support/eventually.h"
#include "tests/support/http_exchange.h"
#include "tests/support/http_server.h"
#include "tests/support/pebble.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tls_client.h"

namespace latchkey::test {
namespace {

Process::Options shell(const TempFolder& folder, const std::string& script) {
  Process::Options options;
  options.args = {"/bin/sh", "-c", script};
  options.output = folder / "out";
  return options;
}

TEST(ProcessTest, WritesToItsFileAndEndsWithItsCode) {
  const TempFolder folder;
  Process process(shell(folder, "echo one; echo two >&2; exit 7"));
  EXPECT_EQ(process.wait_for_line("two", Millis(5000)), "two");
  const auto exit = process.wait(Millis(5000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 7);
  EXPECT_EQ(process.output(), "one\ntwo\n");
}

TEST(ProcessTest, IsKilledWhenItsOwnerGoes) {
  const TempFolder folder;
  pid_t pid = 0;
  {
    Process process(shell(folder, "echo up; exec sleep 100"));
    ASSERT_TRUE(process.wait_for_line("up", Millis(5000)));
    EXPECT_TRUE(process.running());
    EXPECT_FALSE(process.wait(Millis(1)));
    pid = process.pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(ProcessTest, ALineThatNeverComesEndsWithTheProgram) {
  const TempFolder folder;
  Process process(shell(folder, "echo one"));
  EXPECT_FALSE(process.wait_for_line("two", Millis(60'000)));
}

TEST(PortsTest, AReservedPortRefusesUntilSomebodyWithReusePortListens) {
  const ReservedPort port;
  EXPECT_FALSE(connect_to(port.number(), Millis(1000)));
  const HttpServer server([](const Request&) { return Response(); }, port.number());
  EXPECT_TRUE(connect_to(port.number(), Millis(1000)));
}

class HttpServerTest : public ::testing::Test {
 protected:
  HttpAnswer get(const Response& response) {
    const HttpServer server([response](const Request&) { return response; });
    PlainClient client(server.port(), Millis(5000));
    return HttpConversation(client).get("a.test");
  }
};

TEST_F(HttpServerTest, KeepsConnectionsAndCountsByPath) {
  const HttpServer server([](const Request& request) {
    Response response;
    response.body = request.method + request.body;
    return response;
  });
  PlainClient client(server.port());
  HttpConversation http(client);
  EXPECT_EQ(http.get("a.test", "/one?x=1").body, "GET");
  EXPECT_EQ(http.exchange("POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").body,
            "POSTabc");
  EXPECT_EQ(http.exchange("PUT /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
                .body,
            "PUTabc");
  EXPECT_EQ(server.requests("/one"), 1u);
  EXPECT_EQ(server.requests("/two"), 2u);
  EXPECT_EQ(server.connections(), 1u);
  EXPECT_EQ(server.seen().at(0).parameter("x"), "1");
}

TEST_F(HttpServerTest, SendsChunksHeadsAndEarlyHints) {
  Response response;
  response.chunked = true;
  response.informational = {103};
  response.body = std::string(25'000, 'b');
  const HttpAnswer answer = get(response);
  EXPECT_EQ(answer.body, response.body);
  EXPECT_TRUE(answer.complete);
  EXPECT_THAT(answer.informational, ::testing::ElementsAre(103));
}

TEST_F(HttpServerTest, Misbehaves) {
  Response reset;
  reset.reset = true;
  EXPECT_EQ(get(reset).status, 0);
  Response cut;
  cut.body = std::string(1000, 'b');
  cut.cut_after = 500;
  EXPECT_EQ(get(cut).status, 200);
  EXPECT_FALSE(get(cut).complete);
  Response raw;
  raw.raw = "nonsense\r\n\r\n";
  EXPECT_EQ(get(raw).status, 0);
}

TEST_F(HttpServerTest, AnswersOthersWhileOneWaits) {
  const HttpServer server([](const Request& request) {
    Response response;
    if (request.path == "/slow") response.delay = Millis(300);
    if (request.path == "/never") response.hang = true;
    return response;
  });
  PlainClient slow(server.port()), never(server.port(), Millis(50)), quick(server.port());
  const Stopwatch time;
  slow.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(HttpConversation(never).get("a", "/never").status, 0);
  EXPECT_EQ(HttpConversation(quick).get("a").status, 200);
  EXPECT_LT(time.elapsed(), Millis(290));
  EXPECT_EQ(HttpConversation(slow).read_answer().status, 200);
  EXPECT_GE(time.elapsed(), Millis(295));
  EXPECT_EQ(server.most_at_once(), 3u);
}

TEST_F(HttpServerTest, EchoesAfterAnUpgrade) {
  const HttpServer server([](const Request&) {
    Response response;
    response.status = 101;
    response.echo = true;
    return response;
  });
  PlainClient client(server.port());
  HttpConversation http(client);
  EXPECT_EQ(http.get("a").status, 101);
  client.write("over and out");
  EXPECT_EQ(http.read_exactly(12), "over and out");
}

TEST(PebbleTest, StartsWithARootThatChangesAtEachStart) {
  const TempFolder folder;
  Pebble pebble(folder / "pebble", Pebble::Options());
  const std::string first = pebble.roots();
  EXPECT_THAT(first, ::testing::StartsWith("-----BEGIN CERTIFICATE-----"));
  EXPECT_EQ(pebble.orders(), 0u);
  pebble.start();
  EXPECT_THAT(pebble.roots(), ::testing::StartsWith("-----BEGIN CERTIFICATE-----"));
  EXPECT_NE(pebble.roots(), first);
}

// Pebble's own HTTPS listener is a TLS server that other tests can be measured against.
TEST(TlsClientTest, TellsVerifiedFromNot) {
  const TempFolder folder;
  const Pebble pebble(folder / "pebble", Pebble::Options());
  TlsOptions options;
  options.port = static_cast<uint16_t>(std::stoi(pebble.directory().substr(18)));
  options.sni = "localhost";
  EXPECT_TRUE(TlsClient(options).handshake().done);
  EXPECT_FALSE(TlsClient(options).handshake().verified);
  options.roots = read_text(pebble.ca_file());
  TlsClient client(options);
  EXPECT_TRUE(client.handshake().verified);
  EXPECT_EQ(client.handshake().serial, "01");
  EXPECT_EQ(HttpConversation(client).get("localhost", "/dir").status, 200);

  options.session = client.session();
  ASSERT_TRUE(options.session);
  EXPECT_TRUE(TlsClient(options).handshake().resumed);

  options.session = nullptr;
  options.sni = "other.test";
  const TlsClient other(options);
  EXPECT_TRUE(other.handshake().done);
  EXPECT_FALSE(other.handshake().verified);
}

TEST(ClientHelloTest, IsUnderstoodInAnyPieces) {
  const TempFolder folder;
  const Pebble pebble(folder / "pebble", Pebble::Options());
  const auto port = static_cast<uint16_t>(std::stoi(pebble.directory().substr(18)));
  const std::string hello = client_hello_for("localhost");
  EXPECT_EQ(send_raw(port, hello).kind, RawAnswer::Kind::kHandshake);
  EXPECT_EQ(send_raw(port, hello, 1).kind, RawAnswer::Kind::kHandshake);
  EXPECT_EQ(send_raw(port, hello.substr(0, 40), 40, true).kind, RawAnswer::Kind::kClosed);
}

}  // namespace
}  // namespace latchkey::test
