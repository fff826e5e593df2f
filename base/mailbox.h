#pragma once
#include <uv.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "base/uv.h"

namespace latchkey {

// How threads talk: a letter posted to a loop's mailbox runs on that loop, in order of posting.
// Everything else belongs to one thread, or never changes.
class Mailbox {
  struct Box;

 public:
  using Letter = std::function<void()>;

  // Where to post to; free to copy and to keep. Letters to a closed mailbox are dropped: false.
  class Address {
   public:
    bool post(Letter letter) const { return box_->post(std::move(letter)); }
    // The same for all addresses of one mailbox, and for no other one's while they exist.
    const void* id() const { return box_.get(); }

   private:
    friend class Mailbox;
    explicit Address(std::shared_ptr<Box> box) : box_(std::move(box)) {}
    std::shared_ptr<Box> box_;
  };

  explicit Mailbox(uv_loop_t& loop) {
    uv_async_init(&loop, bell_.get(), [](uv_async_t* bell) {
      static_cast<Box*>(bell->data)->shared_from_this()->deliver();
    });
    bell_->data = box_.get();
    box_->open(bell_.get());
  }
  ~Mailbox() { box_->close(); }
  Mailbox(const Mailbox&) = delete;

  Address address() const { return Address(box_); }

 private:
  struct Box : std::enable_shared_from_this<Box> {
    void open(uv_async_t* with) { bell = with; }

    void close() {
      std::deque<Letter> unread;  // dies after the lock is released: a letter may own anything
      std::lock_guard lock(mutex);
      bell = nullptr;
      unread.swap(letters);
    }

    bool post(Letter letter) {
      std::lock_guard lock(mutex);
      if (bell == nullptr) return false;
      letters.push_back(std::move(letter));
      // One ring wakes the loop for the whole batch.
      if (letters.size() == 1) uv_async_send(bell);
      return true;
    }

    // One batch a turn, so that letters that beget letters cannot starve the sockets.
    void deliver() {
      std::deque<Letter> batch;
      {
        std::lock_guard lock(mutex);
        batch.swap(letters);
      }
      for (Letter& letter : batch) {
        if (!is_open()) return;  // a letter closed the mailbox
        Letter open = std::move(letter);
        open();
      }
    }

    bool is_open() {
      std::lock_guard lock(mutex);
      return bell != nullptr;
    }

    std::mutex mutex;
    std::deque<Letter> letters;  // guarded by mutex
    uv_async_t* bell = nullptr;  // guarded by mutex; null when closed
  };

  std::shared_ptr<Box> box_ = std::make_shared<Box>();
  UvPtr<uv_async_t> bell_{new uv_async_t};
};

}  // namespace latchkey
