#pragma once
// An HTTP/2 session over a connection in memory, with exchanges that do what the test says.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "edge/http/http2_session.h"
#include "tests/edge/fake_transport.h"
#include "tests/edge/http2_test_client.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {

class Http2SessionTest : public testing::Test {
 protected:
  // What an exchange saw, in words; it does what the test tells it to.
  class Script final : public Exchange {
   public:
    Script(Http2SessionTest& test, RequestHead head, ResponseStream& stream)
        : test_(test), path_(head.target), stream_(stream) {
      test_.story += "[" + head.method + " " + head.target;
      test_.heads[path_] = std::move(head);
      test_.streams[path_] = &stream_;
    }
    ~Script() override {
      test_.story += "]";
      test_.streams.erase(path_);
    }
    void start() override {
      if (test_.on_start) test_.on_start(stream_);
    }
    void on_body(std::string_view bytes) override {
      test_.bodies[path_] += bytes;
      if (test_.on_piece) test_.on_piece(stream_, bytes);
    }
    void on_request_end(const HeaderList& trailers) override {
      test_.story += " end";
      for (const auto [name, value] : trailers) {
        test_.story += " " + std::string(name) + "=" + std::string(value);
      }
      if (test_.on_end) test_.on_end(stream_);
    }
    void on_writable() override {
      test_.story += " writable";
      if (test_.on_room) test_.on_room(stream_);
    }

   private:
    Http2SessionTest& test_;
    const std::string path_;
    ResponseStream& stream_;
  };

  static void say(ResponseStream& to, std::string_view text, const HeaderList& trailers = {}) {
    ResponseHead head;
    head.status = 200;
    head.body.kind = Body::Kind::kChunked;
    if (trailers.empty()) head.body = {Body::Kind::kLength, text.size()};
    to.send_head(head);
    to.send_body(text);
    to.finish(trailers);
  }

  void open(uint32_t client_window = 0) {
    client.emplace(client_window);
    session.emplace(transport, context, ClientInfo{"192.0.2.1", true, {}}, [this] {
      ++ends;
      session.reset();
    });
    talk();
  }

  // Both say what they have to say, until nobody has.
  void talk() {
    for (int i = 0; i < 1000; ++i) {
      clock.advance(Millis(0));
      const std::string said = client->said();
      transport.say(said);
      transport.deliver();
      clock.advance(Millis(0));
      const std::string heard = std::exchange(transport.sent, {});
      client->hear(heard);
      if (said.empty() && heard.empty()) return;
    }
    ADD_FAILURE() << "they never stop";
  }
  const Http2TestClient::Answer& ask(const Http2TestClient::Fields& fields) {
    const int32_t id = client->request(fields);
    talk();
    return client->answers[id];
  }
  static Http2TestClient::Fields with(Http2TestClient::Fields fields, std::string name,
                                      std::string value) {
    fields.emplace_back(std::move(name), std::move(value));
    return fields;
  }

  ManualClock clock;
  ProtectionCounts counts;
  FakeTransport transport;
  SessionContext context{clock,
                         [this](RequestHead head, ResponseStream& to) {
                           return std::make_unique<Script>(*this, std::move(head), to);
                         },
                         {},
                         counts};
  std::optional<Http2TestClient> client;
  std::map<std::string, RequestHead> heads;
  std::map<std::string, ResponseStream*> streams;
  std::map<std::string, std::string> bodies;
  std::function<void(ResponseStream&)> on_start, on_room;
  std::function<void(ResponseStream&, std::string_view)> on_piece;
  std::function<void(ResponseStream&)> on_end = [](ResponseStream& to) { say(to, "ok"); };
  std::string story;
  int ends = 0;
  std::optional<Http2Session> session;  // the first to go
};

}  // namespace latchkey::edge
