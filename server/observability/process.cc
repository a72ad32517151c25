#include "server/observability/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>

namespace sluice::observability {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// The size of the address space and what of it is in memory, in bytes (proc(5), statm).
struct Memory {
  double virtual_bytes = 0;
  double resident_bytes = 0;
};
Memory ReadMemory() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  double resident = 0;
  file >> pages >> resident;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {pages * page, resident * page};
}

double OpenFiles() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double files = 0;
  while (readdir(directory) != nullptr) ++files;
  closedir(directory);
  // Itself, and the two names of directories.
  return files - 3;
}

double MaxFiles() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

void AddProcess(Metrics& metrics) {
  metrics.AddCounter("process_cpu_seconds_total", "User and system CPU time spent.", CpuSeconds);
  metrics.AddGauge("process_resident_memory_bytes", "Resident memory.",
                   [] { return ReadMemory().resident_bytes; });
  metrics.AddGauge("process_virtual_memory_bytes", "Virtual memory.",
                   [] { return ReadMemory().virtual_bytes; });
  metrics.AddGauge("process_open_fds", "Open file descriptors.", OpenFiles);
  metrics.AddGauge("process_max_fds", "Most file descriptors that may be open.", MaxFiles);
  const auto start = static_cast<double>(std::time(nullptr));
  metrics.AddGauge("process_start_time_seconds", "When the process started, in Unix time.",
                   [start] { return start; });
}

}  // namespace sluice::observability
