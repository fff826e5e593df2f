#include "edge/upstream/group.h"

namespace latchkey::edge {

std::string Group::identity() const {
  std::string text = name;
  const auto add = [&text](const std::string& part) { text.append("\n").append(part); };
  const auto number = [&add](auto value) { add(std::to_string(value)); };
  for (const Origin& origin : origins) add(origin.url());
  for (const unsigned weight : weights) number(weight);
  number(static_cast<int>(balance));
  if (health) {
    add(health->path);
    add(health->host);
    number(health->interval.count());
    number(health->timeout.count());
    number(health->fall);
    number(health->rise);
    number(health->status_from);
    number(health->status_to);
  }
  if (ejection) {
    number(ejection->failures);
    number(ejection->time.count());
  }
  number(slow_start.count());
  number(retries);
  number(static_cast<int>(http2));
  number(static_cast<int>(proxy_protocol));
  if (tls != nullptr) add(tls->identity());
  return text;
}

}  // namespace latchkey::edge
