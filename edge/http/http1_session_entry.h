#pragma once
#include "edge/http/http1_session.h"

namespace latchkey::edge {

// Every event and every call that can end something makes one. The outermost does what became due
// when it leaves: so nothing is destroyed under the code that caused it.
class Http1Session::Entry {
 public:
  explicit Entry(Http1Session& session) : session_(session) { ++session_.depth_; }
  ~Entry() {
    if (session_.depth_ == 1) {
      session_.leave();
    } else {
      --session_.depth_;
    }
  }
  Entry(const Entry&) = delete;

 private:
  Http1Session& session_;
};

}  // namespace latchkey::edge
