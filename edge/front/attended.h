#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "edge/front/access_line.h"
#include "edge/front/compression.h"
#include "edge/front/options.h"
#include "edge/http/stream.h"

namespace latchkey::edge {

// What the exchanges of one worker share.
struct FrontState {
  Clock& clock;
  FrontCounts& counts;
  std::shared_ptr<const FrontOptions> options;  // never null; exchanges keep theirs
  size_t compressing = 0;                       // responses, <= max_at_once
};

// An exchange that is looked on at: it stands between the session and the one that answers, as a
// stream to the latter. Worker thread.
class Attended final : public Exchange, private ResponseStream {
 public:
  // Whether there is anything to do for it; else the request needs none.
  static bool is_of_use(const FrontOptions& options, const RequestHead& head);

  Attended(FrontState& front, RequestHead head, ResponseStream& stream, const Serve& inner);
  // Writes the access log's line: the exchange has ended, or the client has gone.
  ~Attended() override;

  void start() override { inner_->start(); }
  void on_body(std::string_view bytes) override;
  void on_request_end(const HeaderList& trailers) override { inner_->on_request_end(trailers); }
  void on_writable() override { inner_->on_writable(); }

 private:
  const ClientInfo& client() const override { return stream_.client(); }
  ExchangeNotes* notes() override { return &notes_; }
  PageStyle page_style() const override { return {options_->error_pages.get(), form_}; }
  void send_interim(const ResponseHead& head) override { stream_.send_interim(head); }
  void send_head(const ResponseHead& head) override;
  void send_body(std::string_view bytes) override;
  void flush() override;
  bool full() override { return stream_.full(); }
  void finish(const HeaderList& trailers) override;
  void reset() override;
  void pause_body() override { stream_.pause_body(); }
  void resume_body() override { stream_.resume_body(); }

  void compress_if_wanted(ResponseHead& head);
  void pass_on(std::string_view bytes);

  FrontState& front_;
  const std::shared_ptr<const FrontOptions> options_;
  ResponseStream& stream_;
  const TimePoint began_;
  const std::string id_;
  const bool head_only_;  // the request is HEAD
  const PageStyle::Form form_;
  bool bodiless_ = false;
  bool no_transform_ = false;               // the client says
  Coding coding_ = Coding::kIdentity;       // that the client likes
  std::unique_ptr<Compressor> compressor_;  // null: the body goes as it is
  bool unflushed_ = false;                  // the compressor may hold something back
  std::optional<AccessEntry> entry_;        // for the access log; none: there is no log
  ExchangeNotes notes_;
  const char* ended_ = "client_left";
  std::unique_ptr<Exchange> inner_;
};

}  // namespace latchkey::edge
