#pragma once
#include <cstdio>
#include <cstdlib>

// Aborts when a programming error shows itself. What the network, a file or a user can cause is
// never a CHECK: it is an Error.
#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)
