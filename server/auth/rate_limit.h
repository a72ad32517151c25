#ifndef SLUICE_SERVER_AUTH_RATE_LIMIT_H_
#define SLUICE_SERVER_AUTH_RATE_LIMIT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"

namespace sluice::auth {

// How many requests and bytes a second somebody may bring, on average; a second's worth may come at
// once. A body is only known when it has come, so it is taken, and what follows it waits. Safe for
// use by many threads.
//
// Each bucket is one number, the time when it is full again (the generic cell rate algorithm).
class RateLimit {
 public:
  // Zero: no limit.
  RateLimit(uint64_t requests_per_second, uint64_t bytes_per_second)
      : requests_per_second_(requests_per_second), bytes_per_second_(bytes_per_second) {}

  // Takes one request: Unavailable where there have been too many, or too many bytes.
  absl::Status TakeRequest(int64_t now_ns);
  void TakeBytes(size_t bytes, int64_t now_ns);

 private:
  const uint64_t requests_per_second_;
  const uint64_t bytes_per_second_;
  std::atomic<int64_t> requests_full_ns_ = std::numeric_limits<int64_t>::min();
  std::atomic<int64_t> bytes_full_ns_ = std::numeric_limits<int64_t>::min();
};

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_RATE_LIMIT_H_
