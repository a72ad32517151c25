#include "server/allocation_meter.h"

#include <cstddef>

// Null where another allocator is linked, as in tests and under sanitizers.
extern "C" int mallctl(const char* name, void* old_value, size_t* old_size, void* new_value,
                       size_t new_size) __attribute__((weak));

namespace sluice::server {
namespace {

struct Counters {
  const uint64_t* allocated = nullptr;
  const uint64_t* freed = nullptr;
};

Counters OfThisThread() {
  Counters counters;
  size_t size = sizeof(counters.allocated);
  if (mallctl == nullptr ||
      mallctl("thread.allocatedp", &counters.allocated, &size, nullptr, 0) != 0 ||
      mallctl("thread.deallocatedp", &counters.freed, &size, nullptr, 0) != 0) {
    return {};
  }
  return counters;
}

const Counters& Get() {
  thread_local const Counters counters = OfThisThread();
  return counters;
}

}  // namespace

bool AllocationMeter::IsCounting() { return Get().freed != nullptr; }

int64_t AllocationMeter::Read() {
  const Counters& counters = Get();
  if (counters.freed == nullptr) return 0;
  return static_cast<int64_t>(*counters.allocated - *counters.freed);
}

}  // namespace sluice::server
