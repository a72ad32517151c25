#include "server/resources/allocation_meter.h"

#include <sys/types.h>

#include <cstddef>
#include <string>

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

void ReturnFreePagesAtOnce() {
  if (mallctl == nullptr) return;
  ssize_t at_once = 0;
  unsigned arenas = 0;
  size_t size = sizeof(arenas);
  mallctl("arenas.narenas", &arenas, &size, nullptr, 0);
  for (const char* pages : {"dirty", "muzzy"}) {
    // Of arenas to come, and of those that are there.
    std::string name = std::string("arenas.") + pages + "_decay_ms";
    mallctl(name.c_str(), nullptr, nullptr, &at_once, sizeof(at_once));
    for (unsigned i = 0; i < arenas; ++i) {
      name = "arena." + std::to_string(i) + "." + pages + "_decay_ms";
      mallctl(name.c_str(), nullptr, nullptr, &at_once, sizeof(at_once));
    }
  }
}

bool AllocationMeter::IsCounting() { return Get().freed != nullptr; }

int64_t AllocationMeter::Read() {
  const Counters& counters = Get();
  if (counters.freed == nullptr) return 0;
  return static_cast<int64_t>(*counters.allocated - *counters.freed);
}

}  // namespace sluice::server
