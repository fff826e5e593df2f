#pragma once
#include <functional>
#include <memory>

#include "base/loop.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/slot.h"
#include "edge/handover_channel.h"
#include "edge/inherited_sockets.h"

namespace latchkey::edge {

// The process whose place this one takes, as it started us (upgrade.h). Its life ends at any
// moment; then everything is ours. Control thread.
class Predecessor {
 public:
  // Null: there is none. Its sockets go into `sockets`; the environment is cleaned. Before there
  // are threads.
  static std::unique_ptr<Predecessor> from_environment(InheritedSockets& sockets);

  // The lock of the state folder that it held, shared; once.
  Socket take_lock() { return std::move(lock_); }

  // The steps. Each tells how far we are and waits for the answer: kTimeout when it does not come.
  Result<> prepared(Millis limit) { return tell("prepared", "go", limit); }  // the store is ours
  Result<> ready(Millis limit) { return tell("ready", "accept", limit); }    // it accepts no more
  // `admin`: on its admin socket, too.
  void accepting(bool admin) { channel_.send(admin ? "accepting admin" : "accepting"); }
  // After that. It keeps the sockets that it gave us, and takes our place should we die: not on an
  // address of which we have closed them, and not when we end as we should, or have been replaced.
  void closed(const std::string& address) { channel_.send("closed " + address); }
  void leaving() { channel_.send("leaving"); }

  // From then on the certificates that its handshakes wait for are obtained: `want` calls `done`
  // once, with null or the error.
  using Done = std::function<void(const Error*)>;
  using Want = std::function<void(const ServerName&, Slot, Done)>;
  void serve(Loop& loop, ServerNameRules rules, Want want);
  bool waits() const { return wanted_ > 0; }  // for one of them

 private:
  Predecessor(Socket channel, Socket lock) : channel_(std::move(channel)), lock_(std::move(lock)) {}
  Result<> tell(const char* what, std::string_view answer, Millis limit);
  void hear(const std::string& message);

  HandoverChannel channel_;
  Socket lock_;
  ServerNameRules rules_;
  Want want_;
  size_t wanted_ = 0;  // that are not answered
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace latchkey::edge
