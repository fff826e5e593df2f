#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "edge/control_steering.h"
#include "tests/support/json_path.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {

inline ServerName name_of(std::string_view text) {
  return *ServerName::parse(text, {.underscore = true});
}

class ControlSteeringTest : public testing::Test {
 protected:
  ControlSteeringTest() {
    config_.folder = folder_.path();
    config_.state_dir = "state";
    config_.on_demand.allow = {"*.test"};
  }

  ~ControlSteeringTest() override { end(); }

  ControlSteering& steering() {
    if (!steering_) {
      auto plane = ControlPlane::open(config_, loop_.loop(), cache_, challenges_, log_);
      EXPECT_TRUE(plane) << plane.error().message;
      plane_ = *std::move(plane);
      ControlSteering::Parts parts{.loop = loop_.loop(),
                                   .log = log_,
                                   .plane = *plane_,
                                   .config = config_,
                                   .counts = counts_,
                                   .protections = protections_,
                                   .compression = compression_,
                                   .connections = connections_,
                                   .parking = parking_,
                                   .process = [] { return ControlSteering::Process(); },
                                   .reload = [](Reloader::Told) {}};
      steering_ = std::make_unique<ControlSteering>(std::move(parts));
    }
    return *steering_;
  }
  void store(std::string_view name, const std::string& certified,
             const std::string& issuer = "test") {
    steering();
    ASSERT_TRUE(loop_.finish(
        plane_->store().put_certificate(name_of(name), ca_.issue({certified}), issuer)));
  }
  // What a deed says; it must succeed.
  JsonValue said(Task<std::string> deed) {
    const auto text = loop_.finish(std::move(deed));
    EXPECT_TRUE(text) << text.error().message;
    const auto json = parse_json(text ? *text : "{}");
    EXPECT_TRUE(json) << *text;
    return json ? *json : JsonValue();
  }
  // Why it fails; it must.
  Error refusal(Task<std::string> deed) {
    const auto text = loop_.finish(std::move(deed));
    EXPECT_FALSE(text) << *text;
    return text ? Error{ErrorCode::kInvalid, ""} : text.error();
  }
  JsonValue forget(std::string_view name) { return said(steering().forget(name_of(name))); }
  NameRecord record_of(std::string_view name) {
    const auto record = loop_.finish(plane_->store().find_name(name_of(name)));
    EXPECT_TRUE(record) << record.error().message;
    return record ? *record : NameRecord();
  }
  // The kinds of events that were told of the name ("": of none), the newest first.
  std::vector<std::string> kinds(const std::string& name) {
    EXPECT_TRUE(loop_.finish(plane_->events().flush()));
    const auto events = loop_.finish(plane_->store().find_events(name, 100));
    EXPECT_TRUE(events) << events.error().message;
    std::vector<std::string> out;
    for (const Event& event : *events) out.push_back(event.kind);
    return out;
  }
  // Ends the process, so to say.
  void end() {
    steering_.reset();
    plane_.reset();
  }

  const TestCa ca_;
  test::TempFolder folder_;
  test::TestLoop loop_;
  Log log_{STDERR_FILENO, Log::Format::kJson, LogLevel::kError};
  CertificateCache cache_{{100, 1 << 20}};
  acme::ChallengeTable challenges_;
  HandshakeCounts counts_;
  ProtectionCounts protections_;
  CertificateCompression compression_;
  std::atomic<size_t> connections_{0};
  ParkingBounds parking_{{10, 10, 10}};
  Config config_;
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<ControlSteering> steering_;
};

}  // namespace latchkey::edge
