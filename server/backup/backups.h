#ifndef SLUICE_SERVER_BACKUP_BACKUPS_H_
#define SLUICE_SERVER_BACKUP_BACKUPS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/gate/readiness.h"
#include "server/observability/metrics.h"
#include "server/resources/workers.h"
#include "storage/store.h"

namespace sluice::server {

// The backups of the store, in the directory that the server was told: nobody who asks for one
// names a place. Calls take their time; they are for `workers`. Safe for use by many threads.
//
// Errors: FailedPrecondition where the server was told no directory; else those of the store.
class Backups {
 public:
  // Without a directory there are none. Less than `min_free_bytes` on its disk ends a backup. All
  // must outlive it.
  Backups(storage::Store& store, const Readiness& readiness, std::string dir,
          uint64_t min_free_bytes, observability::Metrics& metrics);

  // Makes one, has it read again with `verify`, and then deletes all but the newest `keep`, or none
  // where that is 0. Ends early when the server stops.
  absl::StatusOr<storage::BackupRecord> Create(size_t keep, bool verify);
  // The oldest first.
  absl::StatusOr<std::vector<storage::BackupRecord>> List() const;
  // DataLoss where it is damaged.
  absl::Status Verify(uint32_t id);
  absl::Status Delete(uint32_t id);

  // A thread for them, so that they keep nobody waiting.
  Workers& workers() { return workers_; }

 private:
  absl::Status CheckDir() const;
  void FindNewest();
  absl::StatusOr<storage::BackupRecord> Make(size_t keep, bool verify);
  absl::Status VerifyNew(uint32_t id);
  absl::Status CheckGoingOn() const;
  void AddGauges(observability::Metrics& metrics);

  storage::Store& store_;
  const Readiness& readiness_;
  const std::string dir_;
  const uint64_t min_free_bytes_;
  // Of the newest that is whole; 0 where there is none.
  std::atomic<int64_t> last_ns_ = 0;
  std::atomic<int64_t> last_bytes_ = 0;
  std::atomic<uint64_t> failures_ = 0;
  storage::DurationCounter seconds_;
  Workers workers_{1};
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_BACKUP_BACKUPS_H_
