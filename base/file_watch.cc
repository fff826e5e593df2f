#include "base/file_watch.h"

#include <sys/stat.h>
#include <uv.h>

#include <cerrno>

#include "base/check.h"

namespace latchkey {
namespace {

std::string looks_of(const std::vector<std::filesystem::path>& files) {
  std::string out;
  for (const std::filesystem::path& file : files) out += file_print(file) + "\n";
  return out;
}

}  // namespace

// The time of the last status change shows new contents under an old modification time, and new
// permissions.
std::string file_print(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return "error " + std::to_string(errno);
  std::string out;
  for (const auto number : {static_cast<int64_t>(found.st_dev), static_cast<int64_t>(found.st_ino),
                            static_cast<int64_t>(found.st_size), found.st_mtim.tv_sec,
                            found.st_mtim.tv_nsec, found.st_ctim.tv_sec, found.st_ctim.tv_nsec}) {
    out += std::to_string(number) + " ";
  }
  return out;
}

bool Settling::look(std::string now) {
  const bool differs = now != last_;
  last_ = std::move(now);
  if (!differs && changing_ == 0) return false;
  if (differs && ++changing_ < kMaxLooks) return false;
  changing_ = 0;
  return true;
}

// Lives until its watch and the look under way are gone.
struct FileWatch::State : std::enable_shared_from_this<State> {
  State(uv_loop_t& l, Clock& c, std::vector<std::filesystem::path> f, std::function<void()> changed,
        Millis every)
      : loop(l),
        clock(c),
        files(std::move(f)),
        on_change(std::move(changed)),
        interval(every),
        settling(looks_of(files)) {}

  void wait() {
    alarm = clock.after(interval, [this] { look(); });
  }
  void look();
  void looked(std::string seen) {
    wait();
    if (!settling.look(std::move(seen))) return;
    const auto call = on_change;  // which may end the watch
    call();
  }

  uv_loop_t& loop;
  Clock& clock;
  const std::vector<std::filesystem::path> files;  // never changes: read by the pool's threads
  const std::function<void()> on_change;
  const Millis interval;
  Settling settling;
  Alarm alarm;
  bool watched = true;
};

// One look by the pool. A file system that does not answer delays the next look, and nothing else.
struct FileWatch::Look {
  uv_work_t request{};
  std::shared_ptr<State> state;
  std::string seen{};
};

void FileWatch::State::look() {
  auto* job = new Look{.state = shared_from_this()};
  job->request.data = job;
  const int queued = uv_queue_work(
      &loop, &job->request,
      [](uv_work_t* request) {
        auto* running = static_cast<Look*>(request->data);
        running->seen = looks_of(running->state->files);
      },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Look> done(static_cast<Look*>(request->data));
        if (done->state->watched) done->state->looked(std::move(done->seen));
      });
  CHECK(queued == 0);
}

FileWatch::FileWatch(uv_loop_t& loop, Clock& clock, std::vector<std::filesystem::path> files,
                     std::function<void()> on_change, Millis interval)
    : state_(
          std::make_shared<State>(loop, clock, std::move(files), std::move(on_change), interval)) {
  state_->wait();
}

FileWatch::~FileWatch() {
  state_->watched = false;
  state_->alarm.reset();
}

}  // namespace latchkey
