#ifndef SLUICE_STORAGE_ROCKSDB_ENGINE_H_
#define SLUICE_STORAGE_ROCKSDB_ENGINE_H_

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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

  // The first of `count` sequences that were never used before, not even before a crash.
  absl::StatusOr<uint64_t> ReserveSequences(uint64_t count);

  // Applies `batch` whole. With kUnsynced the sync follows within a tenth of a second.
  absl::Status Write(rocksdb::WriteBatch& batch, Durability durability);

  // See Store.
  absl::Status CheckUsable() const;
  absl::Status CheckWritable() const;

 private:
  RocksDbEngine(std::unique_ptr<rocksdb::DB> db, std::string path, uint64_t min_free_disk_bytes);

  absl::Status LoadSequences();
  bool Recover();
  void Tend(std::stop_token stop);
  void LookAround();

  const std::string path_;
  const uint64_t min_free_disk_bytes_;
  std::unique_ptr<rocksdb::DB> db_;

  std::mutex sequence_mutex_;
  uint64_t next_sequence_ = 1;
  // All sequences below are reserved on disk.
  uint64_t sequence_ceiling_ = 1;

  std::atomic<bool> unsynced_ = false;
  std::atomic<bool> disk_nearly_full_ = false;
  std::atomic<bool> stalled_ = false;
  std::atomic<bool> failed_ = false;
  std::jthread tender_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_ENGINE_H_
