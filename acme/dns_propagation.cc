#include "acme/dns_propagation.h"

#include <algorithm>
#include <list>
#include <utility>

#include "base/dns_message.h"
#include "base/pending.h"
#include "base/task_set.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxServers = 16;
constexpr size_t kMaxAddresses = 4;  // of a server
constexpr Millis kSlowestPoll{5'000};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= list.size()) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string part = list.substr(begin, end - begin);
    std::erase(part, ' ');
    if (!part.empty() && parts.size() < kMaxServers) parts.push_back(std::move(part));
    begin = end + 1;
  }
  return parts;
}

// Waits for all of the servers at once: one flow finds them and starts one for each.
class Watch {
 public:
  Watch(DnsView& view, Clock& clock, const PropagationLimits& limits, const std::string& domain,
        const std::string& value)
      : view_(view), clock_(clock), limits_(limits), domain_(domain), value_(value) {}
  Watch(const Watch&) = delete;

  void begin() {
    alarm_ = clock_.after(limits_.timeout, [this] { end(); });
    flows_.spawn(find_servers());
  }

  Pending<Propagation> done;

 private:
  struct Server {
    std::string name;       // for people
    std::string addresses;  // as DnsView takes them; "" until they are known
    std::string heard = "not asked yet";
    bool shows = false;
  };

  Millis longer(Millis pause) const { return std::min(2 * pause, kSlowestPoll); }

  Task<> find_servers() {
    std::vector<std::string> names = split(limits_.servers);
    const bool given = !names.empty();
    if (!given) names = co_await servers_of_zone();
    for (const std::string& name : names) {
      Server server;
      server.name = name;
      if (given) server.addresses = name;
      servers_.push_back(std::move(server));
    }
    if (servers_.empty()) {
      trouble_ = "no name servers of " + domain_ + " were found";
      end();
      co_return Unit{};
    }
    for (Server& server : servers_) flows_.spawn(poll(server));
    co_return Unit{};
  }

  // NS records are at the top of the zone.
  Task<std::vector<std::string>> servers_of_zone() {
    std::string name = domain_;
    Millis pause = limits_.poll;
    while (!name.empty()) {
      Result<std::vector<std::string>> found =
          co_await view_.records("", name, Resolver::RecordType::kNs).result();
      if (!found) {
        trouble_ = "looking for the name servers of " + name + ": " + found.error().message;
        co_await sleep(clock_, pause);
        pause = longer(pause);
        continue;
      }
      if (found->size() > kMaxServers) found->resize(kMaxServers);
      if (!found->empty()) co_return *std::move(found);
      name = dns_parent(name);
    }
    co_return std::vector<std::string>();
  }

  Task<> poll(Server& server) {
    for (Millis pause = limits_.poll;; pause = longer(pause)) {
      const Result<> asked = co_await ask(server).result();
      if (!asked) server.heard = asked.error().message;
      if (server.shows) break;
      co_await sleep(clock_, pause);
    }
    if (std::all_of(servers_.begin(), servers_.end(), [](const Server& s) { return s.shows; })) {
      end();
    }
    co_return Unit{};
  }

  Task<> ask(Server& server) {
    if (server.addresses.empty()) {
      std::vector<std::string> found = co_await view_.addresses(server.name);
      if (found.size() > kMaxAddresses) found.resize(kMaxAddresses);
      for (const std::string& address : found) {
        const bool is_v6 = address.find(':') != std::string::npos;
        server.addresses +=
            (server.addresses.empty() ? "" : ",") + (is_v6 ? "[" + address + "]" : address) + ":53";
      }
    }
    const std::vector<std::string> texts =
        co_await view_.records(server.addresses, domain_, Resolver::RecordType::kTxt);
    server.shows = std::find(texts.begin(), texts.end(), value_) != texts.end();
    server.heard = texts.empty() ? "no TXT record there" : "only other TXT records there";
    co_return Unit{};
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    Propagation result;
    for (const Server& server : servers_) {
      if (server.shows) continue;
      result.missing += (result.missing.empty() ? "" : "; ") + server.name + ": " + server.heard;
    }
    if (servers_.empty()) result.missing = trouble_.empty() ? "no answer yet" : trouble_;
    result_ = std::move(result);
    // The waiter frees us, and so the flow that calls this: from the loop, then.
    alarm_ = clock_.after(Millis(0), [this] { done.resolve(std::move(result_)); });
  }

  DnsView& view_;
  Clock& clock_;
  const PropagationLimits& limits_;
  const std::string& domain_;
  const std::string& value_;
  std::string trouble_;  // why there are no servers
  std::list<Server> servers_;
  bool ended_ = false;
  Propagation result_;
  Alarm alarm_;  // the time limit; then the turn in which it ends
  TaskSet flows_;
};

}  // namespace

Task<Propagation> wait_for_record(DnsView& view, Clock& clock, PropagationLimits limits,
                                  std::string domain, std::string value) {
  Watch watch(view, clock, limits, domain, value);
  watch.begin();
  Result<Propagation> result = co_await watch.done;
  co_return result;
}

}  // namespace latchkey::acme
