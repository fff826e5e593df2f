#pragma once
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/poller.h"

namespace latchkey {

// How threads talk: a letter posted to a loop's mailbox runs on that loop, in order of posting.
// Everything else belongs to one thread, or never changes.
class Mailbox final : private SocketWatch::Owner {
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

  // REQUIRES: the loop has a Poller.
  explicit Mailbox(uv_loop_t& loop) : watch_(loop, box_->bell, *this) {
    watch_.want(SocketWatch::kReadable);
  }
  ~Mailbox() {
    box_->close();
    watch_.remove();  // addresses keep the bell
  }
  Mailbox(const Mailbox&) = delete;

  Address address() const { return Address(box_); }

 private:
  struct Box {
    ~Box() { ::close(bell); }

    void close() {
      std::vector<Letter> unread;  // dies after the lock is released: a letter may own anything
      std::lock_guard lock(mutex);
      open = false;
      unread.swap(letters);
    }

    bool post(Letter letter) {
      bool first = false;
      {
        std::lock_guard lock(mutex);
        if (!open) return false;
        letters.push_back(std::move(letter));
        first = letters.size() == 1;
      }
      // One ring wakes the loop for the whole batch. Not under the lock, which the woken wants.
      if (first) CHECK(::eventfd_write(bell, 1) == 0);
      return true;
    }

    // One batch a turn, so that letters that beget letters cannot starve the sockets.
    void deliver() {
      std::vector<Letter> batch;
      {
        std::lock_guard lock(mutex);
        batch.swap(letters);
      }
      for (Letter& letter : batch) {
        if (!open) return;  // a letter closed the mailbox
        Letter mine = std::move(letter);
        mine();
      }
    }

    static int make_bell() {
      const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
      CHECK(fd >= 0);
      return fd;
    }

    // An eventfd. It is never read: each ring is an event of its own to an edge-triggered watch.
    const int bell = make_bell();
    std::mutex mutex;
    std::vector<Letter> letters;  // guarded by mutex
    bool open = true;             // guarded by mutex; changed on the loop's thread only
  };

  void on_socket(uint8_t) override {
    watch_.dry();
    const std::shared_ptr<Box> box = box_;  // a letter may destroy us
    box->deliver();
  }

  std::shared_ptr<Box> box_ = std::make_shared<Box>();
  SocketWatch watch_;
};

}  // namespace latchkey
