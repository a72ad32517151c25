#ifndef SLUICE_STORAGE_BLOCK_BLOCK_LOG_H_
#define SLUICE_STORAGE_BLOCK_BLOCK_LOG_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/block/block.h"
#include "storage/block/block_key.h"
#include "storage/schema.h"

namespace sluice::storage {

// What the compactor asks of an engine: the blocks of one database, in the order of commits. Safe
// for use by many threads. Errors: NotFound where the database or the blocks are gone; DataLoss for
// damaged data; anything else may be better later.
class BlockLog {
 public:
  virtual ~BlockLog() = default;

  // Of the database; never used again after a drop.
  virtual uint32_t id() const = 0;
  // Points before this are expired now; the smallest time where none ever are.
  virtual int64_t MinTimeNs() const = 0;
  // A table as blocks may have it that are committed, or just becoming so. Null where there is
  // none.
  virtual TablePtr Table(uint32_t id) const = 0;

  // Calls `visit` with the blocks of a partition whose sequence is below `before_sequence`, the
  // newest first, until it returns false.
  virtual absl::Status ListNewestFirst(
      uint32_t table, int64_t partition, uint64_t before_sequence,
      const std::function<bool(const StoredBlock&)>& visit) const = 0;

  // The bytes of a block: the directory, and right behind it the body.
  virtual absl::StatusOr<std::string> ReadForMerge(const BlockKey& key) const = 0;

  // Puts blocks, which become a run of their own, in the place of others, at once; they take the
  // highest sequences of those, so there may not be more. It need not be synced: until it is, a
  // crash brings back the old ones.
  virtual absl::StatusOr<std::vector<StoredBlock>> Replace(std::span<const StoredBlock> before,
                                                           std::span<const EncodedBlock> after) = 0;

  // Deletes the partitions of which every point has expired, and gives back their disk. Returns how
  // many blocks they had.
  virtual absl::StatusOr<int64_t> DropExpiredPartitions() = 0;
  // Forgets how far writers had come that have not written for kMarkLifeNs.
  virtual absl::Status ForgetMarks() = 0;
};

// What the logs of one store have in common.
class BlockEngine {
 public:
  virtual ~BlockEngine() = default;

  // Every block with a sequence below this has been committed, and its log's compactor told of it;
  // or never will be.
  virtual uint64_t FirstInFlight() const = 0;
  // Unavailable where merging, which writes before it frees anything, has to wait.
  virtual absl::Status CheckMergeable() const = 0;
  // Called now and then, by a thread that has time. True where it had something to do.
  virtual bool Tend() = 0;
  // Nothing has been committed for a while, and all is merged.
  virtual void Rest() = 0;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_BLOCK_LOG_H_
