#ifndef SLUICE_STORAGE_ROCKSDB_ENGINE_H_
#define SLUICE_STORAGE_ROCKSDB_ENGINE_H_

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/distribution.h"
#include "storage/rocksdb/file_system.h"
#include "storage/store.h"

namespace sluice::storage {

struct EngineOptions {
  // See RocksDbOptions.
  uint64_t min_free_disk_bytes = 0;
  uint64_t block_cache_bytes = uint64_t{256} << 20;
  uint64_t write_buffer_bytes = uint64_t{256} << 20;
  size_t max_open_files = 1024;
  // What RocksDB's files are on; null is the system's.
  std::shared_ptr<rocksdb::FileSystem> file_system = nullptr;
  // See RocksDbOptions.
  bool cut_damaged_log = false;
  // See RocksDbOptions.
  std::function<void(const std::string&)> log = nullptr;
};

// The one RocksDB below a store, and what all its databases share: the counter of sequences, and a
// thread that syncs the write-ahead log after commits that did not wait for it and looks
// whether the disk and RocksDB can take more. Safe for use by many threads.
class RocksDbEngine {
 public:
  // Opens `path`, which is made if there is none. Appends a handle for every column family found,
  // the default one first; the caller gives each to DestroyColumnFamilyHandle before the engine
  // goes.
  // Where the disk is too full to open it or to write at all, the ballast beside it is given up.
  // DataLoss, with nothing changed, where the log is damaged (log_check.h).
  static absl::StatusOr<std::shared_ptr<RocksDbEngine>> Open(
      const std::string& path, const EngineOptions& options,
      std::vector<rocksdb::ColumnFamilyHandle*>& families);
  ~RocksDbEngine();

  rocksdb::DB& db() { return *db_; }
  // Whether some of it is damaged, so that what seems not to belong may only seem so.
  bool opened_in_need() const { return opened_in_need_; }
  // Whether the end of the log may be given up, and with it what was said of databases there.
  bool accepts_loss() const { return accepts_loss_; }
  // For a new database's column family.
  const rocksdb::ColumnFamilyOptions& family_options() const { return family_options_; }

  // The first of `count` sequences in a row that were never used before, not even before a crash.
  absl::StatusOr<uint64_t> ReserveSequences(uint64_t count);
  // While the store is opened: there is a block with this one, so that no later one may have it.
  void NoteSequence(uint64_t sequence);
  // Whatever has a sequence below this has been written and told of, or never will be. Moved on by
  // the one who commits.
  uint64_t FirstInFlight() const { return first_in_flight_; }
  void SettleBefore(uint64_t sequence) { first_in_flight_ = sequence; }

  // Applies `batch` whole. With kUnsynced the sync follows within a tenth of a second.
  //
  // An error says that the batch is not there, with one exception: once CheckUsable fails it may
  // be, after the next start. So a batch is never put twice, which single deletions could not bear:
  // RocksDB refuses a batch before it touches anything, and a log that fails ends the store.
  absl::Status Write(rocksdb::WriteBatch& batch, Durability durability);

  // Of what was written without.
  absl::Status Sync();

  // Neither synced nor, while RocksDB has stopped writes, at all: Unavailable then.
  absl::Status WriteWithoutWaiting(rocksdb::WriteBatch& batch);

  // Rewrites the files of a range of keys, null for no limit, until CancelCompactions is called.
  void Compact(rocksdb::ColumnFamilyHandle* family, const rocksdb::Slice* begin,
               const rocksdb::Slice* end);
  void CancelCompactions() { cancelled_ = true; }

  // How much has been written to the log, and not been said to have been flushed since.
  uint64_t logged_bytes() const { return logged_bytes_; }
  void SubtractLoggedBytes(uint64_t flushed_bytes) { logged_bytes_ -= flushed_bytes; }
  void FlushCatalog();

  bool disk_nearly_full() const;
  // Whether what is in memory, at its largest, finds room in tables.
  bool has_room_to_flush() const;

  // What has happened, for those who watch it.
  struct Counts {
    std::atomic<uint64_t> flushes = 0;
    std::atomic<uint64_t> stalls = 0;
    // How often something damaged was met, by whom ever.
    std::atomic<uint64_t> damages = 0;
    // Of groups of commits that were synced.
    DurationCounter syncs;
  };
  const Counts& counts() const { return *counts_; }
  void NoteDamage() const { ++counts_->damages; }
  // Of the disk: what is free, and all of it. Zeros where that cannot be told.
  struct Disk {
    uint64_t free_bytes = 0;
    uint64_t bytes = 0;
  };
  Disk disk() const;

  // Unavailable once the log has failed: RocksDB, which was not told, then shows writes that are
  // not on disk. What was read before a call of this that gives OK was.
  absl::Status CheckReadable() const;
  // See Store.
  absl::Status CheckUsable() const;
  absl::Status CheckWritable() const;

 private:
  struct Opened;

  RocksDbEngine(Opened opened, std::string path, const EngineOptions& options);

  enum class Mode { kNormal, kFullDisk, kDamaged };
  static absl::StatusOr<Opened> TryOpen(const std::string& path, const EngineOptions& options,
                                        Mode mode,
                                        std::vector<rocksdb::ColumnFamilyHandle*>& families);
  absl::Status Outcome(const rocksdb::Status& status) const;
  void NoteSynced(uint64_t next_unsynced);
  absl::Status LoadSequences();
  bool Recover();
  void Tend(std::stop_token stop);
  void LookAround();
  void TakeBallast();
  void GiveUpBallastIfFull();

  const std::string path_;
  const bool opened_in_need_;
  const bool accepts_loss_;
  const uint64_t min_free_disk_bytes_;
  // See log_check.h.
  const std::string log_key_;
  // RocksDB counts too.
  const std::shared_ptr<Counts> counts_;
  const rocksdb::ColumnFamilyOptions family_options_;
  const std::shared_ptr<GuardedFileSystem> file_system_;
  // RocksDB refers to it, and it to the file system.
  const std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;

  std::mutex sequence_mutex_;
  uint64_t next_sequence_ = 1;
  // All sequences below are reserved on disk.
  uint64_t sequence_ceiling_ = 1;
  std::atomic<uint64_t> first_in_flight_ = 1;

  std::atomic<uint64_t> logged_bytes_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> unsynced_ = false;
  // All records of the log with smaller sequences of RocksDB's are on disk, see MarkSynced.
  std::atomic<uint64_t> next_unsynced_ = 0;
  // What may still be written before the disk is nearly full: looked up now and then, and less by
  // what has been written since. It counts what is in memory and will be written again.
  std::atomic<int64_t> room_bytes_ = 0;
  std::atomic<bool> stalled_ = false;
  std::atomic<bool> failed_ = false;
  std::jthread tender_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_ENGINE_H_
