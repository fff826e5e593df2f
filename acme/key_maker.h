#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/job_thread.h"
#include "base/mailbox.h"
#include "base/task.h"
#include "cache/private_key.h"

namespace latchkey::acme {

// Makes the keys of certificates: ECDSA in place, RSA, which takes 100 ms and more, on a thread
// that it starts at the first one. Control thread.
class KeyMaker {
 public:
  // `home`: the control thread's; without it RSA keys are made in place, too.
  explicit KeyMaker(std::optional<Mailbox::Address> home) : home_(std::move(home)) {}

  static bool knows(std::string_view type);
  // `type`: "p256" (also ""), "p384", "rsa2048". REQUIRES: knows(type). Dropping the task saves the
  // work that has not begun.
  Task<PrivateKey> make(std::string type);

 private:
  Task<PrivateKey> make_elsewhere();

  const std::optional<Mailbox::Address> home_;
  std::unique_ptr<JobThread> thread_;  // null until it is needed
};

}  // namespace latchkey::acme
