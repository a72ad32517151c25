#ifndef SLUICE_SERVER_RESOURCES_MEMORY_PLAN_H_
#define SLUICE_SERVER_RESOURCES_MEMORY_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace sluice::server {

// Who may take how much of the memory that the server has, in bytes. What is left is for the code,
// connections, indexes in memory, and what the allocator keeps.
struct MemoryPlan {
  uint64_t total_bytes = 0;
  // Of the bodies of writes under way, and of what is made of them.
  size_t body_bytes = 0;
  size_t judging_bytes = 0;
  // Of what queries have read and not yet given out, and of SQLite.
  size_t query_bytes = 0;
  // Of the blocks of one merge, decoded; a merge takes some times as much.
  size_t merge_bytes = 0;
  // Of RocksDB: what is in the log and not yet in a table; what was read lately.
  size_t write_buffer_bytes = 0;
  size_t block_cache_bytes = 0;
};

// Divides `total_bytes`. InvalidArgument where a write of `max_body_bytes` would not find room.
absl::StatusOr<MemoryPlan> PlanMemory(uint64_t total_bytes, size_t max_body_bytes);

// For the log.
std::string ToString(const MemoryPlan& plan);

}  // namespace sluice::server

#endif  // SLUICE_SERVER_RESOURCES_MEMORY_PLAN_H_
