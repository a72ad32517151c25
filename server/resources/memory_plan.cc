#include "server/resources/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::server {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// Taken before the first request.
constexpr uint64_t kFixedBytes = 48 * kMiB;
// More than this is of no use to anyone.
constexpr uint64_t kMaxBodyBytes = 512 * kMiB;
constexpr uint64_t kMaxRequestBytes = 2048 * kMiB;
constexpr uint64_t kMaxStoreBytes = 256 * kMiB;
// A body as it was sent, and decompressed.
constexpr uint64_t kBodiesAWrite = 2;

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemory(uint64_t total_bytes, size_t max_body_bytes) {
  const uint64_t divided = total_bytes - std::min(total_bytes, kFixedBytes);
  const auto part = [divided](uint64_t percent, uint64_t most) {
    return static_cast<size_t>(std::min(divided / 100 * percent, most));
  };
  MemoryPlan plan{.total_bytes = total_bytes,
                  .body_bytes = part(10, kMaxBodyBytes),
                  .judging_bytes = part(25, kMaxRequestBytes),
                  .query_bytes = part(20, kMaxRequestBytes),
                  .merge_bytes = part(5, kMaxStoreBytes),
                  .write_buffer_bytes = part(10, kMaxStoreBytes),
                  .block_cache_bytes = part(10, kMaxStoreBytes)};
  if (plan.body_bytes >= kBodiesAWrite * max_body_bytes) return plan;
  return absl::InvalidArgumentError(fmt::format(
      "of {} MiB of memory, bodies get {} bytes; one as sent and decompressed takes up to twice "
      "--max-body-bytes ({}). Give the server more memory, or lower that",
      total_bytes / kMiB, plan.body_bytes, max_body_bytes));
}

std::string ToString(const MemoryPlan& plan) {
  return fmt::format(
      "memory: {} MiB in all; bodies {}, judging {}, queries {}, a merge {} decoded, write buffers "
      "{}, block cache {} MiB",
      plan.total_bytes / kMiB, plan.body_bytes / kMiB, plan.judging_bytes / kMiB,
      plan.query_bytes / kMiB, plan.merge_bytes / kMiB, plan.write_buffer_bytes / kMiB,
      plan.block_cache_bytes / kMiB);
}

}  // namespace sluice::server
