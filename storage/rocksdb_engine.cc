#include "storage/rocksdb_engine.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <limits>

#include "storage/bytes.h"
#include "storage/keys.h"
#include "storage/rocksdb_status.h"

namespace sluice::storage {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr uint64_t kMaxFamilyBufferBytes = 64 * kMiB;
// How many sequences one write of the ceiling reserves.
constexpr uint64_t kSequencesAtOnce = uint64_t{1} << 20;
constexpr std::chrono::milliseconds kTendPeriod(100);
// A file that only takes room. A full disk is the one state that a server must be able to start in,
// for otherwise nothing could be dropped; and RocksDB writes a manifest when it is opened.
constexpr char kBallastName[] = "/ballast";
constexpr size_t kBallastBytes = 8 * kMiB;
constexpr char kUnusable[] = "a fault of the disk stopped the store; it must be opened again";

rocksdb::DBOptions DbOptions(const EngineOptions& engine) {
  rocksdb::DBOptions options;
  options.max_background_jobs = 2;
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(engine.write_buffer_bytes);
  options.max_total_wal_size = 2 * engine.write_buffer_bytes;
  options.max_open_files = static_cast<int>(engine.max_open_files);
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

rocksdb::ColumnFamilyOptions FamilyOptions(const EngineOptions& engine) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = std::min(kMaxFamilyBufferBytes, engine.write_buffer_bytes / 2);
  // What a database takes that has been written to at all: with the default of 1 MiB a few hundred
  // would use up the buffers of all.
  options.arena_block_size = 64 << 10;
  options.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(engine.block_cache_bytes);
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Whether `path` has a store: RocksDB itself takes a directory without the file CURRENT for an
// empty one, and would begin anew over what is there.
absl::StatusOr<bool> Exists(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path + "/CURRENT", error)) return true;
  for (const auto& file : std::filesystem::directory_iterator(path, error)) {
    const std::string type = file.path().extension().string();
    if (type != ".sst" && type != ".log") continue;
    return absl::DataLossError(fmt::format(
        "damaged store: {} has data and no file CURRENT, which names the newest MANIFEST. Restore "
        "it from a backup, or write the name of the MANIFEST file there and a newline into it",
        path));
  }
  return false;
}

// Of the log's files.
uint64_t LogBytes(const std::string& path) {
  std::error_code error;
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(path, error)) {
    if (file.path().extension() == ".log") bytes += file.file_size(error);
  }
  return bytes;
}

}  // namespace

struct RocksDbEngine::Opened {
  rocksdb::ColumnFamilyOptions family_options;
  std::shared_ptr<GuardedFileSystem> file_system;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
};

// `in_need` opens it with as few writes as can be, and also where some of its tables are damaged.
absl::StatusOr<RocksDbEngine::Opened> RocksDbEngine::TryOpen(
    const std::string& path, const EngineOptions& engine, bool in_need,
    std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  absl::StatusOr<bool> exists = Exists(path);
  if (!exists.ok()) return exists.status();
  Opened opened{.family_options = FamilyOptions(engine),
                .file_system = std::make_shared<GuardedFileSystem>(
                    engine.file_system ? engine.file_system : rocksdb::FileSystem::Default()),
                .env = nullptr,
                .db = nullptr};
  opened.env = rocksdb::NewCompositeEnv(opened.file_system);
  rocksdb::DBOptions options = DbOptions(engine);
  options.env = opened.env.get();
  options.create_if_missing = !*exists;
  rocksdb::ColumnFamilyOptions family_options = opened.family_options;
  if (in_need) {
    options.paranoid_checks = false;
    options.avoid_flush_during_recovery = true;
    // Or it would flush what the log has as soon as a buffer is full.
    family_options.write_buffer_size += LogBytes(path);
  }
  std::vector<std::string> names = {rocksdb::kDefaultColumnFamilyName};
  if (*exists) {
    names.clear();
    rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, path, &names);
    if (!listed.ok()) return FromRocksDb(listed, "cannot open the store in " + path);
  }
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) descriptors.emplace_back(name, family_options);
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, path, descriptors, &families, &db);
  opened.db.reset(db);
  if (status.ok() && opened.file_system->frozen()) status = opened.file_system->fault();
  if (status.ok()) return opened;
  if (db != nullptr) {
    for (rocksdb::ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family);
  }
  families.clear();
  return FromRocksDb(status, opened.file_system->lock_refused()
                                 ? "cannot open the store in " + path + ", another server uses it"
                                 : "cannot open the store in " + path);
}

absl::StatusOr<std::shared_ptr<RocksDbEngine>> RocksDbEngine::Open(
    const std::string& path, const EngineOptions& options,
    std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  absl::StatusOr<Opened> opened = TryOpen(path, options, false, families);
  // The disk is full, or something is damaged: then what can be read is to be served.
  if (absl::IsUnavailable(opened.status()) || absl::IsDataLoss(opened.status())) {
    std::error_code ignored;
    if (absl::IsUnavailable(opened.status())) std::filesystem::remove(path + kBallastName, ignored);
    opened = TryOpen(path, options, true, families);
  }
  if (!opened.ok()) return opened.status();
  std::shared_ptr<RocksDbEngine> engine(new RocksDbEngine(*std::move(opened), path, options));
  absl::Status loaded = engine->LoadSequences();
  if (loaded.ok()) return engine;
  for (rocksdb::ColumnFamilyHandle* family : families) {
    engine->db().DestroyColumnFamilyHandle(family);
  }
  families.clear();
  return loaded;
}

RocksDbEngine::RocksDbEngine(Opened opened, std::string path, const EngineOptions& options)
    : path_(std::move(path)),
      min_free_disk_bytes_(options.min_free_disk_bytes),
      family_options_(std::move(opened.family_options)),
      file_system_(std::move(opened.file_system)),
      env_(std::move(opened.env)),
      db_(std::move(opened.db)) {
  LookAround();
  tender_ = std::jthread([this](std::stop_token stop) { Tend(stop); });
}

RocksDbEngine::~RocksDbEngine() {
  tender_.request_stop();
  tender_.join();
  // An end in order loses nothing that was acknowledged, whatever happens to the machine next.
  if (unsynced_) db_->SyncWAL().PermitUncheckedError();
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

// What became of a write. Where the log failed RocksDB was not told, see GuardedFileSystem.
absl::Status RocksDbEngine::Outcome(const rocksdb::Status& status) const {
  return FromRocksDb(file_system_->frozen() ? file_system_->fault() : status,
                     "cannot write to the store");
}

absl::Status RocksDbEngine::Write(rocksdb::WriteBatch& batch, Durability durability) {
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSynced;
  logged_bytes_ += batch.GetDataSize();
  // To the log, and once more when the memory is flushed.
  room_bytes_ -= static_cast<int64_t>(2 * batch.GetDataSize());
  rocksdb::Status status = db_->Write(options, &batch);
  // Of an earlier fault: this batch was refused before anything was done.
  if (status.IsIOError() && Recover()) status = db_->Write(options, &batch);
  absl::Status written = Outcome(status);
  if (written.ok() && !options.sync) unsynced_ = true;
  return written;
}

absl::Status RocksDbEngine::WriteWithoutWaiting(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  logged_bytes_ += batch.GetDataSize();
  room_bytes_ -= static_cast<int64_t>(2 * batch.GetDataSize());
  rocksdb::Status status = db_->Write(options, &batch);
  if (status.IsIncomplete()) return absl::UnavailableError("RocksDB has stopped writes");
  if (status.ok()) unsynced_ = true;
  return Outcome(status);
}

absl::Status RocksDbEngine::Sync() { return Outcome(db_->SyncWAL()); }

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
  if (file_system_->frozen()) {
    return absl::InternalError(fmt::format("{}: {}", kUnusable, file_system_->fault().ToString()));
  }
  return failed_ ? absl::InternalError(kUnusable) : absl::OkStatus();
}

absl::Status RocksDbEngine::CheckReadable() const {
  return file_system_->frozen() ? absl::UnavailableError(kUnusable) : absl::OkStatus();
}

bool RocksDbEngine::disk_nearly_full() const { return room_bytes_ <= 0; }

absl::Status RocksDbEngine::CheckWritable() const {
  if (failed_ || file_system_->frozen()) {
    return absl::UnavailableError(kUnusable);
  }
  if (disk_nearly_full()) {
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
  uint64_t in_memory = 0;
  db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &in_memory);
  // An empty buffer takes memory too, and no disk.
  in_memory = std::min<uint64_t>(in_memory, logged_bytes_);
  uint64_t free_bytes = 0;
  if (file_system_->GetFreeSpace(path_, rocksdb::IOOptions(), &free_bytes, nullptr).ok()) {
    room_bytes_ =
        static_cast<int64_t>(free_bytes) - static_cast<int64_t>(min_free_disk_bytes_ + in_memory);
  }
  uint64_t stopped = 0;
  db_->GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped);
  stalled_ = stopped != 0;
  if (min_free_disk_bytes_ > 0 && room_bytes_ > static_cast<int64_t>(4 * kBallastBytes)) {
    TakeBallast();
  }
}

// Written, not only allocated, since not every file system keeps room that is not written to.
void RocksDbEngine::TakeBallast() {
  const std::string ballast = path_ + kBallastName;
  std::error_code error;
  if (std::filesystem::exists(ballast, error)) return;
  std::ofstream(ballast, std::ios::binary) << std::string(kBallastBytes, '\0');
}

void RocksDbEngine::Tend(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    wake.wait_for(lock, stop, kTendPeriod, [] { return false; });
    if (!CheckUsable().ok()) continue;
    // A failed sync stays to be done; RocksDB then refuses further writes and says why.
    if (unsynced_.exchange(false) && !db_->SyncWAL().ok()) unsynced_ = true;
    LookAround();
  }
}

}  // namespace sluice::storage
