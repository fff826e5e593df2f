#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "acme/dns_records.h"
#include "acme/dns_view.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {

// A DNS in memory that is told of records and asked for them; each call takes `delay`.
struct FakeDns {
  explicit FakeDns(Clock& clock_in) : clock(clock_in) {}

  Clock& clock;
  Millis delay{0};

  // What everybody sees: CNAME, NS and addresses.
  std::map<std::string, std::string> cnames;
  std::map<std::string, std::vector<std::string>> name_servers;  // by zone
  std::map<std::string, std::vector<std::string>> hosts;
  std::set<std::string> broken;  // names (look-ups fail) and servers (cannot be reached)

  // TXT records, by domain: "value" and since when.
  std::map<std::string, std::map<std::string, TimePoint>> texts;
  std::map<std::string, Millis> lag;  // by server: so long after they came it shows them

  std::vector<std::string> changes;  // "+domain value", "-domain value", whether they worked or not
  std::optional<Error> publish_error, withdraw_error;
  int at_once = 0, most_at_once = 0;                           // changes
  std::map<std::string, int> at_domain;                        // changes under way
  bool overlapped = false;                                     // two changes at one domain
  std::vector<std::pair<std::string, std::string>> questions;  // servers, name

  bool has(const std::string& domain, const std::string& value) const {
    const auto found = texts.find(domain);
    return found != texts.end() && found->second.contains(value);
  }
  size_t count() const {
    size_t sum = 0;
    for (const auto& [domain, values] : texts) sum += values.size();
    return sum;
  }

  class View final : public DnsView {
   public:
    explicit View(FakeDns& dns) : dns_(dns) {}
    Task<std::vector<std::string>> records(std::string servers, std::string name,
                                           Resolver::RecordType type) override {
      dns_.questions.emplace_back(servers, name);
      if (dns_.delay > Millis(0)) co_await sleep(dns_.clock, dns_.delay);
      if (dns_.broken.contains(name) || dns_.broken.contains(servers)) {
        co_return Error{ErrorCode::kTimeout, "resolving " + name + ": no answer"};
      }
      std::vector<std::string> found;
      if (type == Resolver::RecordType::kCname && dns_.cnames.contains(name)) {
        found.push_back(dns_.cnames[name]);
      } else if (type == Resolver::RecordType::kNs && dns_.name_servers.contains(name)) {
        found = dns_.name_servers[name];
      } else if (type == Resolver::RecordType::kTxt) {
        for (const auto& [value, since] : dns_.texts[name]) {
          if (dns_.clock.now() - since >= dns_.lag[servers]) found.push_back(value);
        }
      }
      co_return found;
    }
    Task<std::vector<std::string>> addresses(std::string host) override {
      if (dns_.delay > Millis(0)) co_await sleep(dns_.clock, dns_.delay);
      if (!dns_.hosts.contains(host)) {
        co_return Error{ErrorCode::kNotFound, "resolving " + host + ": not found"};
      }
      co_return dns_.hosts[host];
    }

   private:
    FakeDns& dns_;
  };

  class Records final : public DnsRecords {
   public:
    explicit Records(FakeDns& dns) : dns_(dns) {}
    Task<> publish(std::string domain, std::string value) override {
      return change(true, std::move(domain), std::move(value));
    }
    Task<> withdraw(std::string domain, std::string value) override {
      return change(false, std::move(domain), std::move(value));
    }

   private:
    struct Under {
      Under(FakeDns& dns_in, std::string domain_in) : dns(dns_in), domain(std::move(domain_in)) {
        dns.most_at_once = std::max(dns.most_at_once, ++dns.at_once);
        if (++dns.at_domain[domain] > 1) dns.overlapped = true;
      }
      Under(const Under&) = delete;
      ~Under() {
        --dns.at_once;
        --dns.at_domain[domain];
      }
      FakeDns& dns;
      const std::string domain;
    };

    Task<> change(bool add, std::string domain, std::string value) {
      dns_.changes.push_back((add ? "+" : "-") + domain + " " + value);
      const Under under(dns_, domain);
      if (dns_.delay > Millis(0)) co_await sleep(dns_.clock, dns_.delay);
      const std::optional<Error>& error = add ? dns_.publish_error : dns_.withdraw_error;
      if (error) co_return *error;
      if (add) {
        dns_.texts[domain].emplace(value, dns_.clock.now());
      } else {
        dns_.texts[domain].erase(value);
      }
      co_return Unit{};
    }

    FakeDns& dns_;
  };

  Records records{*this};
};

}  // namespace latchkey::acme
