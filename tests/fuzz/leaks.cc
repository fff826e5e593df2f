// libFuzzer ends by exit() while its driver's objects are on a stack that nobody scans any more:
// with some libraries linked, LeakSanitizer then takes one of them for a leak.
#pragma clang diagnostic ignored "-Wreserved-identifier"  // LeakSanitizer's name
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:fuzzer::FuzzerDriver\n";
}
