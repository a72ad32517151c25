#include "server/auth/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "storage/reason.h"

namespace sluice::auth {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

absl::Status TooMuch(std::string_view what, uint64_t limit) {
  return storage::WithReason(
      absl::UnavailableError(
          fmt::format("the token may bring {} {} a second; send less, or later", limit, what)),
      "RATE_LIMITED", {{"limit", fmt::format("{}", limit)}, {"unit", std::string(what)}});
}

// How long a bucket takes to have room for `amount`; an hour at most, so that nothing overflows.
int64_t TimeFor(size_t amount, uint64_t per_second) {
  const double ns = static_cast<double>(amount) / static_cast<double>(per_second) * kSecondNs;
  return static_cast<int64_t>(std::min(ns, 3600.0 * kSecondNs));
}

}  // namespace

absl::Status RateLimit::TakeRequest(int64_t now_ns) {
  if (bytes_per_second_ > 0 && bytes_full_ns_.load(std::memory_order_relaxed) > now_ns) {
    return TooMuch("bytes", bytes_per_second_);
  }
  if (requests_per_second_ == 0) return absl::OkStatus();
  const int64_t cost = TimeFor(1, requests_per_second_);
  int64_t full = requests_full_ns_.load(std::memory_order_relaxed);
  int64_t next;
  do {
    next = std::max(full, now_ns - kSecondNs) + cost;
    if (next > now_ns) return TooMuch("requests", requests_per_second_);
  } while (!requests_full_ns_.compare_exchange_weak(full, next, std::memory_order_relaxed));
  return absl::OkStatus();
}

void RateLimit::TakeBytes(size_t bytes, int64_t now_ns) {
  if (bytes_per_second_ == 0) return;
  const int64_t cost = TimeFor(bytes, bytes_per_second_);
  int64_t full = bytes_full_ns_.load(std::memory_order_relaxed);
  while (!bytes_full_ns_.compare_exchange_weak(full, std::max(full, now_ns - kSecondNs) + cost,
                                               std::memory_order_relaxed)) {
  }
}

}  // namespace sluice::auth
