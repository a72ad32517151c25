#include "storage/rocksdb_engine.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <condition_variable>
#include <filesystem>

#include "storage/bytes.h"
#include "storage/keys.h"
#include "storage/rocksdb_status.h"

namespace sluice::storage {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kBlockCacheBytes = 256 * kMiB;
// Over all databases.
constexpr size_t kWriteBufferBytes = 256 * kMiB;
constexpr int kMaxOpenFiles = 1024;
constexpr uint64_t kMaxWalBytes = 512 * kMiB;
// How many sequences one write of the ceiling reserves.
constexpr uint64_t kSequencesAtOnce = uint64_t{1} << 20;
constexpr std::chrono::milliseconds kTendPeriod(100);

std::shared_ptr<rocksdb::Cache> SharedBlockCache() {
  static const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  return cache;
}

rocksdb::DBOptions DbOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.max_background_jobs = 2;
  options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(kWriteBufferBytes);
  options.max_total_wal_size = kMaxWalBytes;
  options.max_open_files = kMaxOpenFiles;
  // A torn record at the end of the log is a write that was never acknowledged.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 4;
  // A commit is few keys: to wake every member of a group to insert its own costs more than that
  // its leader inserts all, and spinning costs those who have something to do.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  return options;
}

}  // namespace

rocksdb::ColumnFamilyOptions RocksDbEngine::FamilyOptions() {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 64 * kMiB;
  // What a database takes that has been written to at all: with the default of 1 MiB a few hundred
  // would use up the buffers of all.
  options.arena_block_size = 64 << 10;
  options.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = SharedBlockCache();
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::StatusOr<std::shared_ptr<RocksDbEngine>> RocksDbEngine::Open(
    const std::string& path, uint64_t min_free_disk_bytes,
    std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  rocksdb::DBOptions options = DbOptions();
  std::vector<std::string> names;
  // Fails where there is no store yet; opening makes one.
  if (!rocksdb::DB::ListColumnFamilies(options, path, &names).ok()) {
    names = {rocksdb::kDefaultColumnFamilyName};
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) descriptors.emplace_back(name, FamilyOptions());
  rocksdb::DB* db = nullptr;
  rocksdb::Status opened = rocksdb::DB::Open(options, path, descriptors, &families, &db);
  if (!opened.ok())
    return FromRocksDb(opened,
                       "cannot open the store in " + path + " (does another server use it?)");
  std::shared_ptr<RocksDbEngine> engine(
      new RocksDbEngine(std::unique_ptr<rocksdb::DB>(db), path, min_free_disk_bytes));
  absl::Status loaded = engine->LoadSequences();
  if (!loaded.ok()) return loaded;
  return engine;
}

RocksDbEngine::RocksDbEngine(std::unique_ptr<rocksdb::DB> db, std::string path,
                             uint64_t min_free_disk_bytes)
    : path_(std::move(path)), min_free_disk_bytes_(min_free_disk_bytes), db_(std::move(db)) {
  LookAround();
  tender_ = std::jthread([this](std::stop_token stop) { Tend(stop); });
}

RocksDbEngine::~RocksDbEngine() {
  tender_.request_stop();
  tender_.join();
}

absl::Status RocksDbEngine::LoadSequences() {
  std::string bytes;
  rocksdb::Status got = db_->Get(rocksdb::ReadOptions(), std::string(kSequenceCeilingKey), &bytes);
  if (got.IsNotFound()) return absl::OkStatus();
  if (!got.ok()) return FromRocksDb(got, "cannot read the catalog");
  ByteReader reader(bytes);
  next_sequence_ = sequence_ceiling_ = reader.Be64();
  if (!reader.ok()) return absl::DataLossError("damaged catalog: the ceiling of sequences");
  return absl::OkStatus();
}

absl::StatusOr<RocksDbEngine::Reservation> RocksDbEngine::ReserveSequences(uint64_t count) {
  std::lock_guard lock(sequence_mutex_);
  if (next_sequence_ + count > sequence_ceiling_) {
    uint64_t ceiling = next_sequence_ + count + kSequencesAtOnce;
    std::string bytes;
    PutBe64(bytes, ceiling);
    rocksdb::WriteBatch batch;
    batch.Put(std::string(kSequenceCeilingKey), bytes);
    absl::Status written = Write(batch, Durability::kSynced);
    if (!written.ok()) return written;
    sequence_ceiling_ = ceiling;
  }
  uint64_t first = next_sequence_;
  next_sequence_ += count;
  in_flight_.insert(first);
  return Reservation(*this, first);
}

void RocksDbEngine::Release(uint64_t first) {
  std::lock_guard lock(sequence_mutex_);
  in_flight_.erase(in_flight_.find(first));
}

uint64_t RocksDbEngine::FirstInFlight() const {
  std::lock_guard lock(sequence_mutex_);
  return in_flight_.empty() ? next_sequence_ : *in_flight_.begin();
}

absl::Status RocksDbEngine::Write(rocksdb::WriteBatch& batch, Durability durability) {
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSynced;
  logged_bytes_ += batch.GetDataSize();
  rocksdb::Status status = db_->Write(options, &batch);
  if (status.IsIOError() && Recover()) status = db_->Write(options, &batch);
  absl::Status written = FromRocksDb(status, "cannot write to the store");
  if (written.ok() && !options.sync) unsynced_ = true;
  return written;
}

absl::Status RocksDbEngine::WriteWithoutWaiting(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  logged_bytes_ += batch.GetDataSize();
  rocksdb::Status status = db_->Write(options, &batch);
  if (status.IsIncomplete()) return absl::UnavailableError("RocksDB has stopped writes");
  if (status.ok()) unsynced_ = true;
  return FromRocksDb(status, "cannot write to the store");
}

void RocksDbEngine::Compact(rocksdb::ColumnFamilyHandle* family, const rocksdb::Slice* begin,
                            const rocksdb::Slice* end) {
  rocksdb::CompactRangeOptions options;
  options.canceled = &cancelled_;
  // What fails stays for RocksDB's own compaction.
  db_->CompactRange(options, family, begin, end);
}

void RocksDbEngine::FlushCatalog() { db_->Flush(rocksdb::FlushOptions()); }

// After a fault RocksDB refuses all writes until it is told that the cause may be gone. Some
// faults, such as one in the middle of the write-ahead log, it only forgets by being opened again.
bool RocksDbEngine::Recover() {
  rocksdb::Status resumed = db_->Resume();
  if (resumed.severity() >= rocksdb::Status::kFatalError) failed_ = true;
  return resumed.ok();
}

absl::Status RocksDbEngine::CheckUsable() const {
  if (!failed_) return absl::OkStatus();
  return absl::InternalError("a fault of the disk stopped the store; it must be opened again");
}

absl::Status RocksDbEngine::CheckWritable() const {
  if (failed_) return absl::UnavailableError(std::string(CheckUsable().message()));
  if (disk_nearly_full_) {
    return absl::UnavailableError(
        fmt::format("the disk is nearly full: less than {} MiB are free; free some, or drop data",
                    min_free_disk_bytes_ / kMiB));
  }
  if (stalled_) {
    return absl::UnavailableError("the store has more to write to disk than it can keep up with");
  }
  return absl::OkStatus();
}

void RocksDbEngine::LookAround() {
  std::error_code error;
  std::filesystem::space_info space = std::filesystem::space(path_, error);
  if (!error) disk_nearly_full_ = space.available < min_free_disk_bytes_;
  uint64_t stopped = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped);
  stalled_ = stopped != 0;
}

void RocksDbEngine::Tend(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    wake.wait_for(lock, stop, kTendPeriod, [] { return false; });
    if (failed_) continue;
    // A failed sync stays to be done; RocksDB then refuses further writes and says why.
    if (unsynced_.exchange(false) && !db_->SyncWAL().ok()) unsynced_ = true;
    LookAround();
  }
}

}  // namespace sluice::storage
