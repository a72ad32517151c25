#ifndef SLUICE_SERVER_QUERY_GOVERNOR_H_
#define SLUICE_SERVER_QUERY_GOVERNOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/resources/memory_budget.h"
#include "storage/distribution.h"

namespace sluice::query {

struct GovernorOptions {
  // How many queries may be open at once: running, waiting for a worker between two pieces of their
  // results, or for a client to read.
  size_t slots = 100;
  // What all of them may take: half for what their scans hold, half for SQLite.
  size_t memory_bytes = size_t{1} << 30;
  // Where what does not fit into memory is sorted and grouped; emptied at the start, made if it is
  // not there. Empty for a directory of the system's.
  std::string temporary_dir = {};
  // How much of its disk that may take; and how much must be left free for others.
  size_t temporary_bytes = size_t{1} << 30;
  uint64_t min_free_disk_bytes = 0;
};

// What all queries of the process share, and its bounds (contract W-97): slots, memory, temporary
// disk. Who finds none is told Unavailable. Safe for use by many threads.
class Governor {
 public:
  static absl::StatusOr<std::unique_ptr<Governor>> Create(const GovernorOptions& options);
  ~Governor();
  Governor(const Governor&) = delete;
  Governor& operator=(const Governor&) = delete;

  // A place among the open queries, as long as it lives.
  class Slot {
   public:
    explicit Slot(Governor& governor) : governor_(&governor) {}
    Slot(Slot&& other) noexcept : governor_(std::exchange(other.governor_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (governor_ != nullptr) --governor_->open_;
    }

   private:
    Governor* governor_;
  };
  absl::StatusOr<Slot> Enter();
  size_t open() const { return open_; }

  // What queries have been, for those who watch.
  struct Counts {
    // From the opening of each to its end.
    storage::DurationCounter seconds;
    std::atomic<uint64_t> rows = 0;
    std::atomic<uint64_t> failures = 0;
  };
  Counts& counts() { return counts_; }

  // Of what scans hold.
  server::MemoryBudget& memory() { return memory_; }
  // Of temporary files.
  server::MemoryBudget& temporary_disk() { return temporary_disk_; }
  // The name of the SQLite VFS that keeps to the bounds; for sqlite3_open_v2.
  const char* vfs() const;

 private:
  class TemporaryFiles;

  explicit Governor(const GovernorOptions& options);

  const GovernorOptions options_;
  server::MemoryBudget memory_;
  server::MemoryBudget temporary_disk_;
  std::atomic<size_t> open_ = 0;
  Counts counts_;
  std::unique_ptr<TemporaryFiles> files_;
};

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_GOVERNOR_H_
