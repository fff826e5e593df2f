#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tests/policy/policy_fixture.h"

namespace latchkey {

// Visits of names, and what the endpoint answers.
class RememberingFixture : public PolicyFixture {
 protected:
  void SetUp() override { make(nullptr, endpoint()); }

  static HttpReply reply(int status, std::string cache_control = "", std::string body = "") {
    HttpReply made;
    made.status = status;
    if (!cache_control.empty()) {
      made.headers.emplace_back("cache-control", std::move(cache_control));
    }
    made.body = std::move(body);
    return made;
  }
  Decision done(Task<Decision>& task) {
    if (!task.done() || !task.outcome()) {
      ADD_FAILURE() << "undecided, or failed";
      return {};
    }
    return *task.outcome();
  }
  // Must be asked, and is answered so.
  Decision asked(std::string_view text, HttpReply answer,
                 std::optional<VerdictRecord> stored = {}) {
    auto task = policy->decide(name(text), AskReason::kIssue, std::move(stored));
    task.start();
    EXPECT_EQ(http.open(), 1u) << text << " was not asked";
    if (http.open() == 1) http.answer(0, std::move(answer));
    Decision decision = done(task);
    if (admitted && decision.verdict == Verdict::kAllow) policy->keep(name(text));
    return decision;
  }
  bool admitted = true;  // names that are allowed get certificates
  Decision asked(std::string_view text, int status) { return asked(text, reply(status)); }
  // Must not be asked.
  Decision unasked(std::string_view text, std::optional<VerdictRecord> stored = {}) {
    auto task = policy->decide(name(text), AskReason::kIssue, std::move(stored));
    task.start();
    EXPECT_EQ(http.open(), 0u) << text << " was asked";
    return done(task);
  }
  Decision afresh(std::string_view text, HttpReply answer) {
    auto task = policy->decide_afresh(name(text), AskReason::kRenew);
    task.start();
    EXPECT_EQ(http.open(), 1u) << text << " was not asked";
    if (http.open() == 1) http.answer(0, std::move(answer));
    return done(task);
  }
  void outage() {
    while (!policy->ask()->out_of_order()) asked("any.example.com", 500);
  }
  VerdictRecord row(std::string_view text) const {
    const auto found = store.verdicts.find(name(text));
    return found == store.verdicts.end() ? VerdictRecord() : found->second;
  }
};

}  // namespace latchkey
