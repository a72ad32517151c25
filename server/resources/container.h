#ifndef SLUICE_SERVER_RESOURCES_CONTAINER_H_
#define SLUICE_SERVER_RESOURCES_CONTAINER_H_

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::server {

// What the control group that the process is in may use; nothing where there is no limit.
struct ContainerLimits {
  std::optional<uint64_t> memory_bytes;
  // Cores' worth of CPU time.
  std::optional<double> cpus;
};

// Reads them from the files below `root`, which is "" but for tests: cgroup v2 (`memory.max`,
// `cpu.max`) and v1 (`memory.limit_in_bytes`, `cpu.cfs_quota_us` over `cpu.cfs_period_us`), of the
// group and of all that it is in. What cannot be read is no limit.
ContainerLimits ReadContainerLimits(const std::string& root = "");

// The limit of the container's memory, or the machine's where that is less.
uint64_t AvailableMemory(const ContainerLimits& limits);
// How many threads can run at once, one at least.
unsigned AvailableCpus(const ContainerLimits& limits);

}  // namespace sluice::server

#endif  // SLUICE_SERVER_RESOURCES_CONTAINER_H_
