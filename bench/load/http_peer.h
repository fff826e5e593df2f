#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/load/http_client.h"
#include "bench/load/tls_connection.h"

namespace latchkey::bench {

// HTTP over TLS: one connection after the other to the same target. Ends a connection by itself
// when the last answer has come that it is good for.
class HttpPeer final : private TlsConnection::Events, private HttpClient::Events {
 public:
  // Within these, the peer may be asked while it is up(), and opened in on_down; never destroyed.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_up(HttpPeer& peer) = 0;  // connected: it takes requests
    virtual void on_first_byte(HttpPeer& peer, uint32_t number) = 0;
    // What became of a request: `failure` is its kind, empty for a good answer.
    virtual void on_answer(HttpPeer& peer, uint32_t number, std::string_view failure) = 0;
    // Closed, and nothing is under way any more. `failure` is empty where the connection ended in
    // an orderly way, or where on_answer has told it.
    virtual void on_down(HttpPeer& peer, std::string_view failure) = 0;
    virtual void on_moved(uint64_t in, uint64_t out) = 0;  // bytes of payload
  };

  // All outlive it. `request`: what is asked for, each time. `tag`: the owner's own.
  HttpPeer(TlsShared& shared, const HttpRequest& request, Owner& owner, uint32_t tag = 0);
  uint32_t tag() const { return tag_; }

  // Requests are to that name, or without one to the target as it was given. REQUIRES: closed().
  void open(std::string_view name, ssl_session_st* session = nullptr);
  // A request may begin: connected, and the server has not said that it will hang up.
  bool up() const { return connection_.connected() && client_->open(); }
  bool closed() const { return connection_.closed(); }
  // `number`: below HttpRequest::streams and not under way. Leaves at the end of the event. For
  // who does not come from one of ours: flush(). REQUIRES: up().
  void request(uint32_t number);
  void flush() { client_->flush(); }
  size_t under_way() const { return under_way_; }

  void finish();  // in an orderly way; on_down tells, perhaps at once. REQUIRES: nothing under way
  void fail(std::string_view failure);  // reset; what is under way fails of it; on_down tells

  const TlsConnection& connection() const { return connection_; }

 private:
  void on_connected(TlsConnection& connection) override;
  void on_data(TlsConnection& connection, std::string_view bytes) override;
  void on_closed(TlsConnection& connection, std::string_view failure) override;
  void send(std::string_view bytes) override;
  void on_first_byte(uint32_t number) override;
  void on_answer(uint32_t number, const HttpClient::Answer& answer) override;
  void lose(std::string_view failure);

  const HttpRequest& request_;
  Owner& owner_;
  const Endpoint& target_;
  const uint32_t tag_;
  TlsConnection connection_;
  const std::unique_ptr<HttpClient> client_;
  std::vector<bool> busy_;  // by number
  size_t under_way_ = 0;
  std::string name_;
};

}  // namespace latchkey::bench
