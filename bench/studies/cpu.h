#pragma once
#include <sys/types.h>

namespace latchkey::bench {

constexpr int kServerCpu = 0, kClientCpu = 1;

// User and system time of a process so far, in seconds.
double cpu_of(pid_t pid);
// The calling thread, and those that it makes, on that core alone; says so if there is none.
void stay_on(int cpu);

}  // namespace latchkey::bench
