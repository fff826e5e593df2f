#include "edge/slot_pages.h"

#include <utility>

namespace latchkey::edge {

Task<std::vector<SlotName>> SlotPages::next() {
  std::vector<SlotName> page;
  if (over_) co_return page;
  CertificateQuery query;
  query.after = after_;
  query.limit = limit_;
  const std::vector<CertificateInfo> infos = co_await store_.list_certificates(std::move(query));
  const bool last = infos.size() < limit_;
  page.reserve(infos.size());
  for (const CertificateInfo& info : infos) page.push_back({info.name, info.slot});
  if (!last) {
    // The last name's other certificate may be on the next page, behind its name.
    const ServerName cut = page.back().name;
    if (page.front().name != cut) {
      while (page.back().name == cut) page.pop_back();
    }
  }
  over_ = last;
  if (!page.empty()) after_ = page.back().name.text();
  co_return page;
}

}  // namespace latchkey::edge
