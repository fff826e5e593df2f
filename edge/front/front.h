#pragma once
#include <memory>
#include <string>

#include "edge/front/attended.h"
#include "edge/front/options.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// What stands before everything that answers requests on a worker: says who asks and what the
// request is called, refuses who asks too often, and looks on as it is answered where an option
// wants that. Worker thread.
class Front {
 public:
  // `counts` outlive it. Null options: the defaults.
  Front(Clock& clock, FrontCounts& counts, std::shared_ptr<const FrontOptions> options);
  Front(const Front&) = delete;

  // For requests from now on.
  void replace(std::shared_ptr<const FrontOptions> options);

  // `inner` with us before it. We outlive what is returned.
  Serve before(Serve inner);

 private:
  std::unique_ptr<Exchange> serve(RequestHead head, ResponseStream& stream, const Serve& inner);
  void introduce(RequestHead& head, const ClientInfo& client) const;
  // When the client may come back; nullopt: it may go on.
  std::optional<Millis> too_early(const RequestHead& head);

  FrontState state_;
};

}  // namespace latchkey::edge
