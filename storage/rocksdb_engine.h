#ifndef SLUICE_STORAGE_ROCKSDB_ENGINE_H_
#define SLUICE_STORAGE_ROCKSDB_ENGINE_H_

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/store.h"

namespace sluice::storage {

// The one RocksDB below a store, and what all its databases share: the counter of sequences, and a
// thread that syncs the write-ahead log after commits that did not wait for it and looks
// whether the disk and RocksDB can take more. Safe for use by many threads.
class RocksDbEngine {
 public:
  // Opens `path`, which is made if there is none. Appends a handle for every column family found,
  // the default one first; the caller gives each to DestroyColumnFamilyHandle before the engine
  // goes.
  static absl::StatusOr<std::shared_ptr<RocksDbEngine>> Open(
      const std::string& path, uint64_t min_free_disk_bytes,
      std::vector<rocksdb::ColumnFamilyHandle*>& families);
  ~RocksDbEngine();

  rocksdb::DB& db() { return *db_; }
  // For a new database's column family.
  static rocksdb::ColumnFamilyOptions FamilyOptions();

  // Sequences that were never used before, not even before a crash. They are in flight until the
  // reservation goes.
  class Reservation {
   public:
    Reservation(RocksDbEngine& engine, uint64_t first) : engine_(&engine), first_(first) {}
    Reservation(Reservation&& other) noexcept
        : engine_(std::exchange(other.engine_, nullptr)), first_(other.first_) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (engine_ != nullptr) engine_->Release(first_);
    }
    uint64_t first() const { return first_; }

   private:
    RocksDbEngine* engine_;
    uint64_t first_;
  };
  // `count` in a row.
  absl::StatusOr<Reservation> ReserveSequences(uint64_t count);
  // Whatever has a sequence below this has been written, or never will be.
  uint64_t FirstInFlight() const;

  // Applies `batch` whole. With kUnsynced the sync follows within a tenth of a second.
  absl::Status Write(rocksdb::WriteBatch& batch, Durability durability);

  // Neither synced nor, while RocksDB has stopped writes, at all: Unavailable then.
  absl::Status WriteWithoutWaiting(rocksdb::WriteBatch& batch);

  // Rewrites the files of a range of keys, null for no limit, until CancelCompactions is called.
  void Compact(rocksdb::ColumnFamilyHandle* family, const rocksdb::Slice* begin,
               const rocksdb::Slice* end);
  void CancelCompactions() { cancelled_ = true; }

  // How much has been written to the log since this was last set to zero.
  uint64_t logged_bytes() const { return logged_bytes_; }
  void ResetLoggedBytes() { logged_bytes_ = 0; }
  void FlushCatalog();

  // See Store.
  absl::Status CheckUsable() const;
  absl::Status CheckWritable() const;

 private:
  RocksDbEngine(std::unique_ptr<rocksdb::DB> db, std::string path, uint64_t min_free_disk_bytes);

  absl::Status LoadSequences();
  void Release(uint64_t first);
  bool Recover();
  void Tend(std::stop_token stop);
  void LookAround();

  const std::string path_;
  const uint64_t min_free_disk_bytes_;
  std::unique_ptr<rocksdb::DB> db_;

  mutable std::mutex sequence_mutex_;
  uint64_t next_sequence_ = 1;
  // All sequences below are reserved on disk.
  uint64_t sequence_ceiling_ = 1;
  // The first of each reservation.
  std::multiset<uint64_t> in_flight_;

  std::atomic<uint64_t> logged_bytes_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> unsynced_ = false;
  std::atomic<bool> disk_nearly_full_ = false;
  std::atomic<bool> stalled_ = false;
  std::atomic<bool> failed_ = false;
  std::jthread tender_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_ENGINE_H_
