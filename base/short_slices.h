#pragma once
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace latchkey {

// This thread's turns on a core are to be short: from Linux 6.12 on it then runs as soon as it
// wakes, also where another thread is in the middle of a longer turn, and has no larger share of
// the core. Before that, the kernel takes no notice. Nothing is lost where it refuses.
inline void ask_for_short_slices() {
  if (::sched_getscheduler(0) != SCHED_OTHER) return;  // the operator has chosen another policy
  const struct {  // struct sched_attr, which glibc has from 2.41 on
    uint32_t size = 48, policy = SCHED_OTHER;
    uint64_t flags = 0;
    int32_t nice = ::getpriority(PRIO_PROCESS, 0);  // on Linux this thread's: kept
    uint32_t priority = 0;
    uint64_t runtime_ns = 300'000, deadline = 0, period = 0;
  } attributes;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

}  // namespace latchkey
