#include "storage/rocksdb/engine.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "storage/bytes.h"
#include "storage/caught.h"
#include "storage/reason.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/log_check.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/store_lock.h"

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

// RocksDB's own log. By default that is a file next to the data, and when the disk is full its
// second line trips an assertion. Here what is wrong goes to whoever opened the store, and the rest
// nowhere.
class EngineLog : public rocksdb::Logger {
 public:
  explicit EngineLog(std::function<void(const std::string&)> log)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(std::move(log)) {}

  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::WARN_LEVEL, format, arguments);
  }
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL) return;
    char text[1024];
    std::vsnprintf(text, sizeof(text), format, arguments);
    // It may say the same of every write.
    if (level < rocksdb::InfoLogLevel::ERROR_LEVEL || !log_ || ++told_ > kMaxTold) return;
    // Some come with many lines of detail.
    log_(std::string("RocksDB: ") + std::string(text, std::strcspn(text, "\n")));
  }

 private:
  static constexpr int kMaxTold = 100;

  const std::function<void(const std::string&)> log_;
  std::atomic<int> told_ = 0;
};

// A damaged table that RocksDB's own compaction meets is no reason to refuse the writes of all
// databases: the table stays as it is, and whoever reads it is told.
class TakeNoNotice : public rocksdb::EventListener {
 public:
  TakeNoNotice(std::function<void(const std::string&)> log,
               std::shared_ptr<RocksDbEngine::Counts> counts)
      : log_(std::move(log)), counts_(std::move(counts)) {}
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { ++counts_->flushes; }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    if (info.condition.cur != rocksdb::WriteStallCondition::kNormal) ++counts_->stalls;
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                         rocksdb::Status* background_error) override {
    if (reason != rocksdb::BackgroundErrorReason::kCompaction) return;
    if (!background_error->IsCorruption() && !background_error->IsPathNotFound()) return;
    ++counts_->damages;
    if (log_ && !told_.exchange(true)) {
      log_("a table is damaged, and left as it is: " + background_error->ToString());
    }
    *background_error = rocksdb::Status::OK();
  }

 private:
  const std::function<void(const std::string&)> log_;
  const std::shared_ptr<RocksDbEngine::Counts> counts_;
  std::atomic<bool> told_ = false;
};

rocksdb::DBOptions DbOptions(const EngineOptions& engine,
                             const std::shared_ptr<RocksDbEngine::Counts>& counts) {
  rocksdb::DBOptions options;
  options.max_background_jobs = 2;
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(engine.write_buffer_bytes);
  options.max_total_wal_size = 2 * engine.write_buffer_bytes;
  options.max_open_files = static_cast<int>(engine.max_open_files);
  // A torn record at the end of the log is a write that was never acknowledged.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Kept of each table that is written, and compared where one is copied to a backup.
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  options.listeners = {std::make_shared<TakeNoNotice>(engine.log, counts)};
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
  // Blocks of a partition come in ascending order: each is mostly put right behind the one before,
  // which need not be searched for. RocksDB remembers that place by prefix for all kinds of keys,
  // so no deletion of a range may begin at a key with the prefix of a partition that has blocks.
  options.memtable_insert_with_hint_prefix_extractor.reset(
      rocksdb::NewFixedPrefixTransform(kPartitionPrefixBytes));
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
    if (file.path().extension() != ".log") continue;
    const uint64_t size = file.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}

// Makes the log end where it can be read no further, so that RocksDB finds nothing wrong with it:
// of what it cannot read it would keep the file, and insist on tables of what is in it. Whether
// what was on disk once was cut off, which has to be asked for.
absl::StatusOr<bool> PrepareLog(const std::string& path, const EngineOptions& engine) {
  const std::shared_ptr<rocksdb::FileSystem> files =
      engine.file_system ? engine.file_system : rocksdb::FileSystem::Default();
  if (!files->FileExists(path + "/CURRENT", {}, nullptr).ok()) return false;
  // Where it cannot be had RocksDB will say so.
  const StoreLock lock(*files, path);
  if (!lock.held()) return false;
  const auto end = FindLogEnd(*files, path, engine.cut_damaged_log);
  if (!end.ok()) return end.status();
  if (!*end) return false;
  if ((*end)->is_damage && !engine.cut_damaged_log) {
    return absl::DataLossError(fmt::format(
        "cannot open the store in {}: {}. Nothing was changed. Restore a backup, or do without "
        "what was written from there on (--cut-damaged-log)",
        path, ToString(**end)));
  }
  const absl::Status cut = CutLog(*files, path, **end);
  if (!cut.ok()) return cut;
  if ((*end)->is_damage && engine.log) {
    engine.log(
        fmt::format("{}; IT IS CUT THERE, AND WHAT WAS WRITTEN LATER IS NOT IN THE STORE. "
                    "The files are kept in {}.damaged-log",
                    ToString(**end), path));
  } else if ((*end)->cuts_records && engine.log) {
    engine.log(
        fmt::format("the log is cut at byte {} of {}, as a loss of power does it; what comes "
                    "behind was not said to be synced, and is kept in {}.damaged-log",
                    (*end)->at, (*end)->path, path));
  }
  return (*end)->is_damage;
}

}  // namespace

struct RocksDbEngine::Opened {
  bool in_need = false;
  std::shared_ptr<Counts> counts;
  rocksdb::ColumnFamilyOptions family_options;
  std::shared_ptr<GuardedFileSystem> file_system;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
};

// On a full disk it is opened with as few writes as can be; a damaged one also where some of its
// tables cannot be read.
absl::StatusOr<RocksDbEngine::Opened> RocksDbEngine::TryOpen(
    const std::string& path, const EngineOptions& engine, Mode mode,
    std::vector<rocksdb::ColumnFamilyHandle*>& families) {
  absl::StatusOr<bool> exists = Exists(path);
  if (!exists.ok()) return exists.status();
  Opened opened{.in_need = mode == Mode::kDamaged,
                .counts = std::make_shared<Counts>(),
                .family_options = FamilyOptions(engine),
                .file_system = std::make_shared<GuardedFileSystem>(
                    engine.file_system ? engine.file_system : rocksdb::FileSystem::Default()),
                .env = nullptr,
                .db = nullptr};
  opened.env = rocksdb::NewCompositeEnv(opened.file_system);
  rocksdb::DBOptions options = DbOptions(engine, opened.counts);
  options.env = opened.env.get();
  options.create_if_missing = !*exists;
  rocksdb::ColumnFamilyOptions family_options = opened.family_options;
  options.info_log = std::make_shared<EngineLog>(engine.log);
  if (mode == Mode::kDamaged) options.paranoid_checks = false;
  if (mode != Mode::kNormal) {
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
  const absl::StatusOr<bool> was_cut = PrepareLog(path, options);
  if (!was_cut.ok()) return was_cut.status();
  std::error_code ignored;
  // RocksDB would complain that there is none before it makes it.
  std::filesystem::create_directories(path, ignored);
  absl::StatusOr<Opened> opened = TryOpen(path, options, Mode::kNormal, families);
  if (absl::IsUnavailable(opened.status())) {
    std::filesystem::remove(path + kBallastName, ignored);
    opened = TryOpen(path, options, Mode::kFullDisk, families);
  } else if (absl::IsDataLoss(opened.status())) {
    // What can be read is to be served.
    opened = TryOpen(path, options, Mode::kDamaged, families);
  }
  if (!opened.ok()) return opened.status();
  std::shared_ptr<RocksDbEngine> engine(new RocksDbEngine(*std::move(opened), path, options));
  if (*was_cut) engine->NoteDamage();
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
      opened_in_need_(opened.in_need),
      accepts_loss_(options.cut_damaged_log),
      min_free_disk_bytes_(options.min_free_disk_bytes),
      log_key_(ReadOrMakeLogKey(path_)),
      counts_(std::move(opened.counts)),
      family_options_(std::move(opened.family_options)),
      file_system_(std::move(opened.file_system)),
      env_(std::move(opened.env)),
      db_(std::move(opened.db)) {
  LookAround();
  file_system_->KeepSpareFiles();
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
  first_in_flight_ = next_sequence_;
  if (!reader.ok()) return absl::DataLossError("damaged catalog: the ceiling of sequences");
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RocksDbEngine::ReserveSequences(uint64_t count) {
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
  return first;
}

void RocksDbEngine::NoteSequence(uint64_t sequence) {
  std::lock_guard lock(sequence_mutex_);
  // The next reservation writes a new ceiling.
  if (sequence < sequence_ceiling_) return;
  first_in_flight_ = next_sequence_ = sequence_ceiling_ = sequence + 1;
}

// What became of a write. Where the log failed RocksDB was not told, see GuardedFileSystem.
absl::Status RocksDbEngine::Outcome(const rocksdb::Status& status) const {
  return FromRocksDb(file_system_->frozen() ? file_system_->fault() : status,
                     "cannot write to the store");
}

absl::Status RocksDbEngine::Write(rocksdb::WriteBatch& batch, Durability durability) {
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::kSynced;
  if (disk_nearly_full()) GiveUpBallastIfFull();
  logged_bytes_ += batch.GetDataSize();
  // To the log, and once more when the memory is flushed.
  room_bytes_ -= static_cast<int64_t>(2 * batch.GetDataSize());
  MarkSynced(batch, log_key_, next_unsynced_);
  const auto since = std::chrono::steady_clock::now();
  rocksdb::Status status = db_->Write(options, &batch);
  if (options.sync) counts_->syncs.Observe(std::chrono::steady_clock::now() - since);
  // Of an earlier fault: this batch was refused before anything was done.
  if (status.IsIOError() && Recover()) status = db_->Write(options, &batch);
  absl::Status written = Outcome(status);
  if (written.ok() && !options.sync) unsynced_ = true;
  if (written.ok() && options.sync) NoteSynced(SequenceOf(batch) + batch.Count());
  return written;
}

absl::Status RocksDbEngine::WriteWithoutWaiting(rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  logged_bytes_ += batch.GetDataSize();
  room_bytes_ -= static_cast<int64_t>(2 * batch.GetDataSize());
  MarkSynced(batch, log_key_, next_unsynced_);
  rocksdb::Status status = db_->Write(options, &batch);
  if (status.IsIncomplete()) return absl::UnavailableError("RocksDB has stopped writes");
  if (status.ok()) unsynced_ = true;
  return Outcome(status);
}

void RocksDbEngine::NoteSynced(uint64_t next_unsynced) {
  uint64_t known = next_unsynced_;
  while (known < next_unsynced && !next_unsynced_.compare_exchange_weak(known, next_unsynced)) {
  }
}

absl::Status RocksDbEngine::Sync() {
  const uint64_t last = db_->GetLatestSequenceNumber();
  const absl::Status synced = Outcome(db_->SyncWAL());
  if (synced.ok()) NoteSynced(last + 1);
  return synced;
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
  if (file_system_->frozen()) {
    return absl::InternalError(fmt::format("{}: {}", kUnusable, file_system_->fault().ToString()));
  }
  return failed_ ? absl::InternalError(kUnusable) : absl::OkStatus();
}

absl::Status RocksDbEngine::CheckReadable() const {
  return file_system_->frozen() ? absl::UnavailableError(kUnusable) : absl::OkStatus();
}

bool RocksDbEngine::disk_nearly_full() const { return room_bytes_ <= 0; }

bool RocksDbEngine::has_room_to_flush() const {
  return room_bytes_ + static_cast<int64_t>(min_free_disk_bytes_) > 0;
}

RocksDbEngine::Disk RocksDbEngine::disk() const {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(path_, error);
  if (error) return {};
  return {.free_bytes = space.available, .bytes = space.capacity};
}

absl::Status RocksDbEngine::CheckWritable() const {
  if (failed_ || file_system_->frozen()) {
    return WithReason(absl::UnavailableError(kUnusable), "STORE_STOPPED");
  }
  if (disk_nearly_full()) {
    return WithReason(
        absl::UnavailableError(fmt::format(
            "the disk is nearly full: less than {} MiB are free; free some, or drop data",
            min_free_disk_bytes_ / kMiB)),
        "DISK_NEARLY_FULL", {{"min_free_bytes", std::to_string(min_free_disk_bytes_)}});
  }
  if (stalled_) {
    return WithReason(
        absl::UnavailableError("the store has more to write to disk than it can keep up with"),
        "STORE_STALLED");
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
  if (room_bytes_ > static_cast<int64_t>(4 * kBallastBytes)) TakeBallast();
}

// For what is written though the disk is nearly full: a drop, which frees some.
void RocksDbEngine::GiveUpBallastIfFull() {
  uint64_t free_bytes = 0;
  if (!file_system_->GetFreeSpace(path_, rocksdb::IOOptions(), &free_bytes, nullptr).ok()) return;
  std::error_code ignored;
  if (free_bytes < kBallastBytes / 2) std::filesystem::remove(path_ + kBallastName, ignored);
}

// Written, not only allocated, since not every file system keeps room that is not written to.
void RocksDbEngine::TakeBallast() {
  const std::string ballast = path_ + kBallastName;
  std::error_code error;
  if (std::filesystem::file_size(ballast, error) == kBallastBytes && !error) return;
  std::ofstream file(ballast, std::ios::binary);
  const std::array<char, 64 << 10> zeros{};
  for (size_t written = 0; written < kBallastBytes && file; written += zeros.size()) {
    file.write(zeros.data(), zeros.size());
  }
}

void RocksDbEngine::Tend(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    wake.wait_for(lock, stop, kTendPeriod, [] { return false; });
    if (!CheckUsable().ok()) continue;
    Caught([&] {
      // A failed sync stays to be done; RocksDB then refuses further writes and says why.
      if (unsynced_.exchange(false) && !Sync().ok()) unsynced_ = true;
      LookAround();
      file_system_->KeepSpareFiles();
    }).IgnoreError();
  }
}

}  // namespace sluice::storage
