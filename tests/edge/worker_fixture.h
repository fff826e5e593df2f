#pragma once
// A worker on its own thread between real clients and real upstreams; the control thread is the
// test's word on each name.

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "edge/worker.h"
#include "edge/worker_thread.h"
#include "tests/support/eventually.h"
#include "tests/support/http_exchange.h"
#include "tests/support/http_server.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_client.h"

namespace latchkey::edge {

using namespace std::chrono_literals;
using test::HttpAnswer;
using test::HttpConversation;
using test::TlsClient;

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    ListenAddress address = *ListenAddress::parse("127.0.0.1:0");
    Worker::Sockets sockets;
    sockets.https.emplace_back(*open_listener(address));
    port = static_cast<uint16_t>(address.port);
    ListenAddress plain = *ListenAddress::parse("127.0.0.1:0");
    sockets.http.emplace_back(*open_listener(plain));
    http_port = static_cast<uint16_t>(plain.port);
    Route route;
    route.hosts = {"*"};
    auto group = std::make_shared<Group>();
    group->origins = {{"127.0.0.1", upstream.port()}};
    route.group = std::move(group);
    Worker::Settings settings{*RoutingTable::make({route}), 5s, 5s};
    auto made = std::make_shared<Fallback>();
    made->no_sni = ca.issue({"default.test", "*.default.test"});
    made->parking = ca.issue({"parking.invalid"});
    settings.fallback = made;
    worker = std::make_unique<WorkerThread>(shared, std::move(settings), std::move(sockets));
  }

  // What control will say of the name.
  void decide(const ServerName& name, Result<CertificatePtr> outcome) {
    const std::lock_guard lock(mutex);
    outcomes.insert_or_assign(name, std::move(outcome));
  }
  void on_worker(const std::function<void(Worker&)>& act) const {
    std::promise<void> done;
    worker->post([&](Worker& w) {
      act(w);
      done.set_value();
    });
    done.get_future().wait();
  }
  void replace_fallback(std::shared_ptr<const Fallback> with) {
    on_worker([&](Worker& w) { w.replace_fallback(std::move(with)); });
  }
  test::TlsOptions options(const std::string& sni) const {
    test::TlsOptions out;
    out.port = port;
    out.sni = sni;
    out.roots = ca.root_pem;
    out.alpn = {"http/1.1"};
    return out;
  }
  // One request on a connection of its own.
  HttpAnswer get(const std::string& name) const {
    TlsClient client(options(name));
    return HttpConversation(client).get(name);
  }

  const TestCa ca;
  test::HttpServer upstream{[](const test::Request&) { return test::Response{.body = "routes"}; }};
  const ServerName a = *ServerName::parse("a.test");
  std::mutex mutex;
  std::map<ServerName, Result<CertificatePtr>> outcomes;  // guarded by mutex
  std::map<ServerName, NameState> states;                 // guarded by mutex
  std::vector<std::string> wanted, asked, used;           // guarded by mutex

  CertificateCache cache{{}};
  acme::ChallengeTable challenges;
  const int null_fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  Log log{null_fd, Log::Format::kText, LogLevel::kError};
  HandshakeCounts counts;
  ProtectionCounts protections;
  ParkingBounds bounds{{.total = 100, .per_name = 100, .per_prefix = 100}};
  std::atomic<size_t> connections{0};
  std::atomic<size_t> left{0}, back{0};
  WorkerShared shared{
      .cache = cache,
      .challenges = challenges,
      .log = log,
      .counts = counts,
      .protections = protections,
      .parking = bounds,
      .connections = connections,
      .park_timeout = 300ms,
      .hello_timeout = 10s,
      .max_descriptors = 200,
      .https_port = 443,
      .underscore_names = false,
      .want_certificate =
          [this](const ServerName& name, Slot slot, Mailbox::Address to,
                 WorkerShared::Outcome done) {
            const std::lock_guard lock(mutex);
            wanted.push_back((slot == Slot::kRsa ? "rsa " : "") + name.text());
            const auto found = outcomes.find(name);
            if (found == outcomes.end()) return;  // it takes its time
            to.post([done, outcome = found->second] { done(outcome); });
          },
      .may_be_served =
          [this](const ServerName& name, Mailbox::Address to, WorkerShared::Answer done) {
            const std::lock_guard lock(mutex);
            asked.push_back(name.text());
            const auto found = states.find(name);
            const NameState state = found == states.end() ? NameState::kUnknown : found->second;
            to.post([done, state] { done(state); });
          },
      .visitors_left = [this](const ServerName&, Slot, Mailbox::Address) { ++left; },
      .visitors_back = [this](const ServerName&, Slot, Mailbox::Address) { ++back; },
      .recheck = [](const ServerName&) {},
      .note_use =
          [this](const ServerName& name, Slot) {
            const std::lock_guard lock(mutex);
            used.push_back(name.text());
          }};
  uint16_t port = 0, http_port = 0;
  std::unique_ptr<WorkerThread> worker;
};

}  // namespace latchkey::edge
