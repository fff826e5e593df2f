#include "acme/dns_view.h"

namespace latchkey::acme {
namespace {

class ResolverView final : public DnsView {
 public:
  explicit ResolverView(Resolver& resolver) : resolver_(resolver) {}

  Task<std::vector<std::string>> records(std::string servers, std::string name,
                                         Resolver::RecordType type) override {
    // One for each question: a server that was not reached once is tried first again.
    const std::unique_ptr<Resolver> theirs = servers.empty() ? nullptr : resolver_.of(servers);
    Resolver& asked = theirs == nullptr ? resolver_ : *theirs;
    std::vector<std::string> found = co_await asked.records(name, type);
    co_return found;
  }
  Task<std::vector<std::string>> addresses(std::string host) override {
    return resolver_.addresses(std::move(host));
  }

 private:
  Resolver& resolver_;
};

}  // namespace

std::unique_ptr<DnsView> make_dns_view(Resolver& resolver) {
  return std::make_unique<ResolverView>(resolver);
}

}  // namespace latchkey::acme
