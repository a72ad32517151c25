#include "server/resources/container.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"

namespace sluice::server {
namespace {

// cgroup v1 writes "no limit" as the largest multiple of a page.
constexpr uint64_t kNoLimit = uint64_t{1} << 60;

std::vector<std::string> WordsOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> words;
  std::string word;
  while (file >> word) words.push_back(word);
  return words;
}

std::optional<uint64_t> Number(const std::string& text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

template <typename T>
void TakeLess(std::optional<T>& limit, std::optional<T> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

// A group of one hierarchy: where the hierarchy is mounted, and the group's path in it.
struct Group {
  std::string mount;
  std::string path;
};

// Calls `visit` with the directory of the group and of each that it is in. Within a container the
// path is often that of the host, and only the mount itself is there.
template <typename Visit>
void EachDirectory(const Group& group, Visit visit) {
  std::string path = group.path;
  while (!path.empty() && path != "/") {
    visit(group.mount + path);
    path.erase(path.rfind('/'));
  }
  visit(group.mount);
}

void ReadV2(const std::string& directory, ContainerLimits& limits) {
  const std::vector<std::string> memory = WordsOf(directory + "/memory.max");
  if (memory.size() == 1) TakeLess(limits.memory_bytes, Number(memory[0]));
  const std::vector<std::string> cpu = WordsOf(directory + "/cpu.max");
  if (cpu.size() != 2) return;
  const std::optional<uint64_t> quota = Number(cpu[0]);
  const std::optional<uint64_t> period = Number(cpu[1]);
  if (!quota || !period || *period == 0) return;
  TakeLess(limits.cpus, std::optional(static_cast<double>(*quota) / static_cast<double>(*period)));
}

void ReadMemoryV1(const std::string& directory, ContainerLimits& limits) {
  const std::vector<std::string> words = WordsOf(directory + "/memory.limit_in_bytes");
  if (words.size() != 1) return;
  const std::optional<uint64_t> bytes = Number(words[0]);
  if (bytes && *bytes < kNoLimit) TakeLess(limits.memory_bytes, bytes);
}

void ReadCpuV1(const std::string& directory, ContainerLimits& limits) {
  const std::vector<std::string> quota = WordsOf(directory + "/cpu.cfs_quota_us");
  const std::vector<std::string> period = WordsOf(directory + "/cpu.cfs_period_us");
  if (quota.size() != 1 || period.size() != 1) return;
  // -1 is no limit, and no number here.
  const std::optional<uint64_t> used = Number(quota[0]);
  const std::optional<uint64_t> of = Number(period[0]);
  if (!used || !of || *of == 0) return;
  TakeLess(limits.cpus, std::optional(static_cast<double>(*used) / static_cast<double>(*of)));
}

}  // namespace

// Lines of /proc/self/cgroup are ID:CONTROLLERS:PATH, with no controllers for v2 (cgroups(7)).
ContainerLimits ReadContainerLimits(const std::string& root) {
  ContainerLimits limits;
  const std::string mounts = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || parts[2].empty() || parts[2][0] != '/') continue;
    if (parts[1].empty()) {
      EachDirectory({mounts, parts[2]}, [&](const auto& path) { ReadV2(path, limits); });
      continue;
    }
    for (const std::string& controller : std::vector<std::string>(absl::StrSplit(parts[1], ','))) {
      if (controller == "memory") {
        EachDirectory({mounts + "/memory", parts[2]},
                      [&](const auto& path) { ReadMemoryV1(path, limits); });
      }
      if (controller == "cpu") {
        EachDirectory({mounts + "/cpu", parts[2]},
                      [&](const auto& path) { ReadCpuV1(path, limits); });
        EachDirectory({mounts + "/" + parts[1], parts[2]},
                      [&](const auto& path) { ReadCpuV1(path, limits); });
      }
    }
  }
  return limits;
}

uint64_t AvailableMemory(const ContainerLimits& limits) {
  const uint64_t machine = static_cast<uint64_t>(std::max(1L, sysconf(_SC_PHYS_PAGES))) *
                           static_cast<uint64_t>(std::max(1L, sysconf(_SC_PAGESIZE)));
  return std::min(machine, limits.memory_bytes.value_or(std::numeric_limits<uint64_t>::max()));
}

unsigned AvailableCpus(const ContainerLimits& limits) {
  const unsigned machine = std::max(1u, std::thread::hardware_concurrency());
  if (!limits.cpus || *limits.cpus >= machine) return machine;
  return std::max(1u, static_cast<unsigned>(std::ceil(*limits.cpus)));
}

}  // namespace sluice::server
