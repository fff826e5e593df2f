#pragma once
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "base/result.h"
#include "cache/slot.h"
#include "edge/handover_channel.h"

namespace latchkey::edge {

// How this program was started, so that its successor can be.
struct Program {
  std::string file;                    // "": not known
  std::vector<std::string> arguments;  // with argv[0]

  // At the start, while the folder is that of the start. The file is the path by which it was
  // called, not what that path leads to: a new version may lie there, or a link to it.
  static Program of_this_process(int argc, char** argv);
};

// Replaces this process by a new one of the same program file, without a gap: the new one gets our
// listening sockets and the state folder's lock, reads its configuration ("prepared"), opens the
// store once we make no more orders ("go", "ready"), and accepts once we do not ("accept",
// "accepting"). Each step has the same limit; whatever goes wrong until the last one ends the new
// process and leaves us as we were. After that the certificates that our handshakes still wait for
// are the new one's to obtain; should it die before we have ended, our owner may go on in its
// place. Control thread.
class Upgrade {
 public:
  static constexpr const char* kVariable = "LATCHKEY_UPGRADE";  // the sockets' names, with colons
  static constexpr int kChannel = 3, kLock = 4, kSockets = 5;   // descriptors of the new process

  struct Passed {
    int fd;
    std::string name;  // see InheritedSockets::Named; "-" for none
  };
  struct Hooks {
    // Begins no more orders; `quiet`, once, when none is under way or one that takes too long is
    // cut: it goes on from the store.
    std::function<void(std::function<void()> quiet)> hold_orders;
    // Accepts nothing; `done`, once, when no worker does.
    std::function<void(std::function<void()> done)> stop_accepting;
    // The new process serves: what there is left to do is to drain. `admin`: on our socket, too.
    std::function<void(int pid, bool admin)> replaced;
    // It does not: everything is as it was before. `why` was logged.
    std::function<void()> failed;
    // After `replaced`: nobody listens on that address any more.
    std::function<void(const std::string& address)> closed;
    // ... It ends as it was told to, or has been replaced itself: it needs nobody behind it.
    std::function<void()> left;
    // ... It has died, before that. What was wanted of it waits for drop_wants().
    std::function<void()> died;
  };
  using Done = std::function<void(const Result<>&)>;

  Upgrade(Hooks hooks, Loop& loop, Log& log, Millis limit);
  ~Upgrade();
  Upgrade(const Upgrade&) = delete;

  // Starts the new process; `lock` and the sockets stay ours. Outcomes come by the hooks, never
  // from within.
  void begin(const Program& program, int lock, const std::vector<Passed>& sockets);

  // After `replaced`: the new process is to obtain a certificate; `done`, once, when it is stored.
  void want(const ServerName& name, Slot slot, Done done);
  // Nobody obtains any more what was wanted, or is from now on: that fails.
  void drop_wants();

 private:
  enum class Step { kStarting, kHolding, kOpening, kStopping, kAccepting, kReplaced, kFailed };

  Result<> spawn(const Program& program, int channel, int lock, const std::vector<Passed>& sockets);
  void enter(Step step);
  void hear(const std::string& message);
  void take_news(const std::string& message);
  void take_answer(const std::string& message);
  void hear_end();
  void fail(const std::string& why);
  void conclude();
  void look_whether_gone();

  const Hooks hooks_;
  Loop& loop_;
  Log& log_;
  const Millis limit_;
  Step step_ = Step::kStarting;
  int pid_ = 0;
  bool ended_ = false;    // the new process
  std::string how_;       // ... it did
  bool told_to_ = false;  // ... and it was right
  std::string why_;       // it failed; "": by its end
  bool left_ = false;     // the new process needs nobody behind it
  bool over_ = false;     // nobody obtains what is wanted
  UvPtr<uv_process_t> process_;
  std::unique_ptr<HandoverChannel> channel_;
  Alarm alarm_;
  uint64_t next_want_ = 0;
  std::unordered_map<uint64_t, Done> wants_;  // <= the gates' flights
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace latchkey::edge
