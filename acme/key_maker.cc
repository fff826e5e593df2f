#include "acme/key_maker.h"

#include <functional>

namespace latchkey::acme {

bool KeyMaker::knows(std::string_view type) {
  return type.empty() || type == "p256" || type == "p384" || type == "rsa2048";
}

Task<PrivateKey> KeyMaker::make(std::string type) {
  if (type == "p384") co_return generate_p384_key();
  if (type != "rsa2048") co_return generate_p256_key();
  if (!home_) co_return generate_rsa2048_key();
  co_return co_await make_elsewhere();
}

Task<PrivateKey> KeyMaker::make_elsewhere() {
  if (thread_ == nullptr) thread_ = std::make_unique<JobThread>(*home_);
  const auto wanted = std::make_shared<bool>(true);  // for as long as somebody waits
  const std::weak_ptr<bool> still_wanted = wanted;
  std::function<Result<PrivateKey>()> job = [still_wanted]() -> Result<PrivateKey> {
    if (still_wanted.expired()) return Error{ErrorCode::kTimeout, "nobody waits for the key"};
    return generate_rsa2048_key();
  };
  Task<PrivateKey> making = thread_->run<PrivateKey>(std::move(job));
  co_return co_await std::move(making);
}

}  // namespace latchkey::acme
