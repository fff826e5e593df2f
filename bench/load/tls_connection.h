#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/link.h"
#include "bench/load/engine.h"
#include "bench/load/tls_client.h"

struct bio_st;
struct bio_method_st;
struct ssl_st;
struct ssl_session_st;

namespace latchkey::bench {

class TlsConnection;

// What all connections of an engine share: their time limit, the same for each, so that the oldest
// is the first to be over; and buffers that are in use within one callback only.
class TlsShared {
 public:
  TlsShared(Engine& engine, const TlsClient& client, Span limit);

  Engine& engine() const { return engine_; }
  const TlsClient& client() const { return client_; }
  Span limit() const { return limit_; }

 private:
  friend class TlsConnection;
  void look_at_deadlines();

  Engine& engine_;
  const TlsClient& client_;
  const Span limit_;
  Link deadlines_;  // the oldest first
  Engine::Timer timer_;
  std::vector<char> received_, plain_;  // 64 KiB each
  std::string gathered_;                // records that leave in one send()
  TlsConnection* gathers_ = nullptr;    // whose they are
  uint32_t sockets_ = 0;                // so far: the next source address
};

// A client's connection that is used again and again: open(), then what Events tell, then open()
// again. Whole flights are sent in one call and whole records received in one, and no memory is
// kept but BoringSSL's and what the kernel would not take. Of an engine's thread.
class TlsConnection final : private Engine::Watcher {
 public:
  // Within each of these, the connection may be closed and opened anew, but not destroyed.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void on_tcp_open(TlsConnection&) {}                // after open_tcp()
    virtual void on_connected(TlsConnection& connection) = 0;  // the handshake is done
    virtual void on_data(TlsConnection&, std::string_view) {}
    virtual void on_drained(TlsConnection&) {}  // unsent() was not 0 and is now
    // A ticket: session() gives it. Only with TlsSettings::tickets.
    virtual void on_session(TlsConnection&) {}
    // Closed, and not by close() or reset(). `failure` is the kind: "alert unrecognized_name",
    // "connect refused", "reset", "timeout"...; kEnded if the server ended it in an orderly way
    // after the handshake (the other side of finish(), or its idle time).
    virtual void on_closed(TlsConnection& connection, std::string_view failure) = 0;
  };
  static constexpr std::string_view kEnded = "closed by the server";

  TlsConnection(TlsShared& shared, Events& events);
  ~TlsConnection() override;
  TlsConnection(const TlsConnection&) = delete;

  // Connects and shakes hands; never calls Events by itself, even where it fails at once. Names
  // that are no host names, and "", send no SNI. With a session, offers to resume it. Within the
  // deadlines' limit the handshake must be done. REQUIRES: closed.
  void open(std::string_view name, ssl_session_st* session = nullptr);
  // The same in steps: connects, and on_tcp_open tells; then makes the ClientHello, which costs
  // some microseconds, and keeps it; then sends it. REQUIRES: closed; tcp_open(); a hello made.
  void open_tcp();
  void make_hello(std::string_view name, ssl_session_st* session = nullptr);
  void send_hello();
  bool tcp_open() const { return state_ == State::kTcpOpen; }

  // All of it is taken: what the kernel does not is kept in unsent(). Several calls within one
  // callback leave in one packet. REQUIRES: connected().
  void send(std::string_view bytes);
  size_t unsent() const { return unsent_.size() - unsent_from_; }

  // A (new) time limit for what comes next: on_closed("timeout") if neither this nor
  // no_deadline() is called within the limit.
  void set_deadline();
  void no_deadline();

  // Ends in the way of TlsSettings::ending. True: closed. False: on_closed will tell, with
  // kEnded; until then data is thrown away.
  bool finish();
  void reset();  // RST, at once

  bool closed() const { return state_ == State::kClosed; }
  bool connected() const { return state_ == State::kConnected; }
  bool resumed() const;
  std::string_view alpn() const;                        // what was chosen; empty: nothing
  ssl_session_st* session() const { return session_; }  // the latest ticket, or null; we own it
  Time opened_at() const { return opened_; }            // open() was called
  Time hello_at() const { return hello_; }              // the ClientHello went to the kernel
  uint64_t bytes_in() const { return in_; }             // from and to the socket, since open()
  uint64_t bytes_out() const { return out_; }

 private:
  friend class TlsShared;
  friend class TlsClient;  // sets on_new_session
  enum class State { kClosed, kConnecting, kTcpOpen, kHandshake, kConnected, kFinishing };
  struct Deadline : Link {
    TlsConnection* owner = nullptr;
    Time at{};
  };

  void on_ready(uint32_t events) override;
  bool make_socket(uint32_t events);  // and connects; false: failed
  void begin_tls(std::string_view name, ssl_session_st* session);
  void receive();
  void on_bytes();
  void shake_hands();
  void read_records();
  void gather(std::string_view bytes);
  void flush();
  void send_unsent();
  void ended();
  void watch_writable(bool writable);
  void fail(std::string_view kind);
  void fail_by_errno(int error);
  void fail_by_tls(int ssl_error);
  void fail_later(int error);
  void drop(bool with_reset);  // the socket and what belongs to it

  static const bio_method_st* bio_method();
  static int on_new_session(ssl_st* ssl, ssl_session_st* session);

  TlsShared& shared_;
  Events& events_;

  State state_ = State::kClosed;
  int fd_ = -1;
  bool watches_writable_ = false;
  bool in_turn_ = false;  // flush() comes at its end
  bool has_new_session_ = false;
  int late_error_ = 0;         // of open(), to be told in the next turn
  uint32_t opens_ = 0;         // so that a loop sees that a callback has opened us anew
  std::string_view received_;  // in the engine's buffer, not yet taken by BoringSSL
  std::string unsent_;
  size_t unsent_from_ = 0;
  Deadline deadline_;
  Time opened_{}, hello_{};
  uint64_t in_ = 0, out_ = 0;
  ssl_session_st* session_ = nullptr;
  bio_st* bio_;
  ssl_st* ssl_ = nullptr;
};

}  // namespace latchkey::bench
