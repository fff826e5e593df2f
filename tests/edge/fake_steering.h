#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/pending.h"
#include "edge/steering.h"

namespace latchkey::edge {

// Does nothing, says what it is told to, and writes down what it was asked.
class FakeSteering final : public Steering {
 public:
  std::vector<std::string> calls;  // "obtain a.test"
  // What it says, by verb: "obtain".
  std::map<std::string, Result<std::string>> answers;
  std::map<std::string, std::string> pages;  // of the list, by `after`
  // Verbs that wait until release(); `under_way` counts them, also those that were dropped.
  std::string held_verb;
  size_t under_way = 0, dropped = 0;
  Prefetched prefetched{};
  ServerNameRules rules{.underscore = true};
  std::vector<std::string> prefetch_names;

  void release() {
    if (pending_ != nullptr) pending_->resolve(Unit{});
  }

  ServerNameRules name_rules() const override { return rules; }
  static constexpr const char* kStatus = R"({"state":"ready","uptime_seconds":7200})";
  Task<std::string> status() override { co_return kStatus; }
  std::string budget() override { return R"({"issuers":[]})"; }
  Task<std::string> explain(ServerName name) override { return answer("explain", name.text()); }
  Task<std::string> ask(ServerName name) override { return answer("ask", name.text()); }
  Task<std::string> obtain(ServerName name) override { return answer("obtain", name.text()); }
  Task<std::string> forget(ServerName name) override { return answer("forget", name.text()); }
  Task<std::string> list_certificates(CertificateQuery query) override {
    std::string words = query.after + "|" + query.contains + "|" + std::to_string(query.limit);
    if (query.ends_before) {
      words += "|" + std::to_string(query.ends_before->time_since_epoch().count());
    }
    // A page each, then nothing more.
    const auto page = pages.find(query.after);
    if (page != pages.end()) answers.insert_or_assign("list", page->second);
    return answer("list", std::move(words));
  }
  Task<std::string> show_certificate(ServerName name) override {
    return answer("show", name.text());
  }
  Task<std::string> renew(ServerName name) override { return answer("renew", name.text()); }
  Task<std::string> revoke(ServerName name, std::string reason) override {
    return answer("revoke", name.text() + " " + reason);
  }
  Task<std::string> evict(ServerName name) override { return answer("evict", name.text()); }
  Task<std::string> retry(ServerName name) override { return answer("retry", name.text()); }
  Task<std::string> events(std::optional<ServerName> name, size_t limit) override {
    return answer("events", (name ? name->text() : "all") + " " + std::to_string(limit));
  }
  Task<std::string> accounts() override { return answer("accounts", ""); }
  Task<std::string> change_account(std::string issuer, AccountAct act) override {
    const char* const words[] = {"roll-key", "deactivate", "reactivate"};
    return answer(words[static_cast<size_t>(act)], std::move(issuer));
  }
  Task<std::string> authorities() override { return answer("authorities", ""); }
  Task<std::string> authority_roots(std::string issuer) override {
    return answer("roots", std::move(issuer));
  }
  Task<std::string> rotate_authority(std::string issuer, bool root) override {
    return answer(root ? "rotate-root" : "rotate", std::move(issuer));
  }
  Task<std::string> import(std::string batch) override {
    return answer("import", std::to_string(batch.size()));
  }
  Task<std::string> reload() override { return answer("reload", ""); }
  Prefetched prefetch(const std::vector<ServerName>& names) override {
    prefetch_names.clear();
    for (const ServerName& name : names) prefetch_names.push_back(name.text());
    if (prefetched.complaint.empty()) prefetched.taken = names.size();
    return prefetched;
  }

 private:
  // Counts a task that goes before its end.
  class Guard {
   public:
    explicit Guard(FakeSteering& fake) : fake_(fake) { ++fake_.under_way; }
    ~Guard() {
      --fake_.under_way;
      if (!finished) ++fake_.dropped;
      fake_.pending_ = nullptr;
    }
    Guard(const Guard&) = delete;
    bool finished = false;

   private:
    FakeSteering& fake_;
  };

  Task<std::string> answer(std::string verb, std::string name) {
    calls.push_back(name.empty() ? verb : verb + " " + name);
    if (verb == held_verb) {
      Guard guard(*this);
      Pending<> pending;
      pending_ = &pending;
      const Result<> released = co_await pending;
      guard.finished = released.has_value();
    }
    const auto found = answers.find(verb);
    if (found == answers.end()) co_return "{\"name\":\"" + name + "\"}";
    co_return found->second;
  }

  Pending<>* pending_ = nullptr;
};

}  // namespace latchkey::edge
