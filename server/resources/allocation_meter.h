#ifndef SLUICE_SERVER_RESOURCES_ALLOCATION_METER_H_
#define SLUICE_SERVER_RESOURCES_ALLOCATION_METER_H_

#include <cstdint>

namespace sluice::server {

// How much more memory the calling thread has allocated than freed since the meter was made: what
// an object takes that one thread builds, without that the object counts. The counters are
// jemalloc's, for each thread, and cost a few nanoseconds to read (its manual:
// `thread.allocatedp`). For the thread that made it.
class AllocationMeter {
 public:
  AllocationMeter() : start_(Read()) {}

  // Whether the process has counters: it is linked with jemalloc.
  static bool IsCounting();
  int64_t grown() const { return Read() - start_; }

 private:
  static int64_t Read();

  const int64_t start_;
};

// Makes the allocator give pages that are free back to the system at once, rather than after ten
// seconds, by which a burst on every thread takes several times what it needs. It costs CPU; to be
// called where memory is scarce, before threads are started.
void ReturnFreePagesAtOnce();

}  // namespace sluice::server

#endif  // SLUICE_SERVER_RESOURCES_ALLOCATION_METER_H_
