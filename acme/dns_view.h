#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/resolver.h"
#include "base/task.h"

namespace latchkey::acme {

// What is to be seen in the DNS. Control thread; its tasks are dropped before it goes.
class DnsView {
 public:
  virtual ~DnsView() = default;
  // As Resolver::records(). `servers`: "192.0.2.1:53,[2001:db8::1]:53", tried in turn until one
  // answers; "": the usual ones.
  virtual Task<std::vector<std::string>> records(std::string servers, std::string name,
                                                 Resolver::RecordType type) = 0;
  // As Resolver::addresses().
  virtual Task<std::vector<std::string>> addresses(std::string host) = 0;
};

// By that resolver, which outlives the view; `servers` are asked by others made of it.
std::unique_ptr<DnsView> make_dns_view(Resolver& resolver);

}  // namespace latchkey::acme
