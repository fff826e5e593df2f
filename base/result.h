#pragma once
// Result<T>: a value, or the Error that says why there is none.
//
// The names are those of std::expected, which g++ 12 offers only with -std=c++23 and clang 14 not
// at all, so that a later switch is a `using`.

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace latchkey {

// What the caller can do about it; the text is for people.
enum class ErrorCode {
  kInvalid,    // the input is wrong: asking again will not help
  kDenied,     // policy said no
  kThrottled,  // too many, come back later
  kTimeout,
  kIo,
  kProtocol,  // the peer broke its protocol
  kNotFound,
};

struct [[nodiscard]] Error {
  ErrorCode code;
  std::string message;
  // With kThrottled: how long the other side told us to stay away; 0: it did not say.
  std::chrono::milliseconds retry_after{0};

  // Says what we were doing: Error{kTimeout, "new-order"}.in("issuing a.test").
  Error in(std::string_view doing) && {
    message.insert(0, ": ").insert(0, doing);
    return std::move(*this);
  }
};

struct Unit {};  // Result<>: success carries nothing

template <typename T = Unit>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Error error) : state_(std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace latchkey
