#include "storage/rocksdb/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <utility>

#include "storage/block/compactor.h"
#include "storage/bytes.h"
#include "storage/reason.h"
#include "storage/rocksdb/backup.h"
#include "storage/rocksdb/committer.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/engine.h"
#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/status.h"
#include "storage/timestamp.h"

// A database in the catalog:
//
//   record   := version:byte(2) id:be32 create_time:zigzag partition_ns:zigzag retention
//               max_tables max_columns
//   retention, max_tables, max_columns := byte(0) | byte(1) value:zigzag
//
// Retention is in nanoseconds.
//
// The catalog is the truth: a column family without a record is what a crash left of a creation or
// a drop, and goes when the store is opened.

namespace sluice::storage {
namespace {

constexpr uint8_t kRecordVersion = 2;

struct CatalogEntry {
  DatabaseRecord record;
  int64_t partition_ns = kPartitionNs;
};

void PutOptional(std::string& out, std::optional<int64_t> value) {
  PutByte(out, value ? 1 : 0);
  if (value) PutZigzag(out, *value);
}

std::string EncodeEntry(const CatalogEntry& entry) {
  std::string out;
  PutByte(out, kRecordVersion);
  PutBe32(out, entry.record.id);
  PutZigzag(out, entry.record.create_time_ns);
  PutZigzag(out, entry.partition_ns);
  const DatabaseSettings& settings = entry.record.settings;
  PutOptional(out, settings.retention_ns);
  PutOptional(out, settings.max_tables);
  PutOptional(out, settings.max_columns);
  return out;
}

std::optional<int64_t> ReadOptional(ByteReader& reader) {
  if (reader.Byte() == 0) return std::nullopt;
  return reader.Zigzag();
}

absl::StatusOr<CatalogEntry> DecodeEntry(std::string_view name, std::string_view bytes) {
  ByteReader reader(bytes);
  bool known = reader.Byte() == kRecordVersion;
  CatalogEntry entry;
  entry.record.name = name;
  entry.record.id = reader.Be32();
  entry.record.create_time_ns = reader.Zigzag();
  entry.partition_ns = reader.Zigzag();
  DatabaseSettings& settings = entry.record.settings;
  settings.retention_ns = ReadOptional(reader);
  settings.max_tables = ReadOptional(reader);
  settings.max_columns = ReadOptional(reader);
  if (known && reader.ok() && reader.empty() && entry.partition_ns > 0) return entry;
  return absl::DataLossError(fmt::format("damaged catalog: the record of database '{}'", name));
}

constexpr std::string_view kFamilyPrefix = "db-";

std::string FamilyName(uint32_t id) { return fmt::format("{}{}", kFamilyPrefix, id); }

uint32_t IdOf(std::string_view family) {
  uint32_t id = 0;
  family.remove_prefix(std::min(family.size(), kFamilyPrefix.size()));
  std::from_chars(family.data(), family.data() + family.size(), id);
  return id;
}

// A log of less than this may stay as it is.
constexpr uint64_t kWorthwhileFlushBytes = uint64_t{8} << 20;

class RocksDbStore : public Store, private BlockEngine {
 public:
  RocksDbStore(std::shared_ptr<RocksDbEngine> engine, rocksdb::ColumnFamilyHandle* catalog,
               const CompactionOptions& compaction)
      : engine_(std::move(engine)),
        catalog_(catalog),
        compactor_(*this, compaction),
        committer_(std::make_shared<Committer>(
            engine_, [this](const DatabasePtr& database, std::vector<StoredBlock> blocks) {
              compactor_.Added(database, std::move(blocks));
            })) {}
  ~RocksDbStore() override {
    committer_->Stop();
    engine_->CancelCompactions();
    compactor_.Stop();
    engine_->db().DestroyColumnFamilyHandle(catalog_);
  }

  // Takes over the handles of all databases' column families.
  absl::Status Load(std::vector<rocksdb::ColumnFamilyHandle*> families);

  absl::StatusOr<DatabaseRecord> CreateDatabase(const DatabaseName& name,
                                                const DatabaseSettings& settings) override;
  absl::StatusOr<std::vector<DatabaseRecord>> ListDatabases() const override;
  absl::StatusOr<std::shared_ptr<Database>> FindDatabase(const DatabaseName& name) const override;
  absl::StatusOr<DatabaseRecord> UpdateDatabase(
      const DatabaseName& name, const std::function<void(DatabaseSettings&)>& change) override;
  absl::Status DropDatabase(const DatabaseName& name) override;
  absl::StatusOr<std::vector<TokenRecord>> ListTokens() const override;
  absl::Status PutToken(const TokenRecord& token) override;
  absl::Status DeleteToken(const std::string& name) override;
  void WatchTokens(std::function<void()> changed) override;
  std::string InstanceId() const override {
    std::string id;
    return engine_->db().GetDbIdentity(id).ok() ? id : "";
  }
  absl::Status Sync() override { return engine_->Sync(); }
  absl::StatusOr<BackupRecord> Backup(const BackupOptions& options) override;
  absl::StatusOr<std::vector<BackupRecord>> ListBackups(const std::string& dir) const override {
    return storage::ListBackups(dir);
  }
  absl::Status VerifyBackup(const std::string& dir, uint32_t id) const override {
    return storage::VerifyBackup(dir, id);
  }
  size_t MendBackup(const std::string& dir, uint32_t id) override {
    std::lock_guard lock(backup_mutex_);
    return storage::MendBackup(engine_->db(), dir, id);
  }
  absl::Status DeleteBackup(const std::string& dir, uint32_t id) override {
    std::lock_guard lock(backup_mutex_);
    return storage::DeleteBackup(dir, id);
  }
  absl::Status DeleteOldBackups(const std::string& dir, size_t keep) override {
    std::lock_guard lock(backup_mutex_);
    return storage::DeleteOldBackups(dir, keep);
  }
  std::vector<Figure> Figures() const override;
  std::vector<Damage> Damages() const override;
  absl::Status CheckUsable() const override { return engine_->CheckUsable(); }
  absl::Status CheckWritable() const override { return engine_->CheckWritable(); }

 private:
  using DatabasePtr = std::shared_ptr<RocksDbDatabase>;

  using Visit = std::function<absl::Status(std::string_view name, std::string_view value)>;

  // Calls `visit` for each record of the catalog whose key has that tag, until an error.
  absl::Status EachWithPrefix(char tag, const Visit& visit) const;
  absl::StatusOr<std::map<std::string, CatalogEntry>> ReadCatalog();
  absl::Status Forget(rocksdb::ColumnFamilyHandle* family);
  absl::Status AddDatabase(rocksdb::ColumnFamilyHandle* family, const CatalogEntry& entry);
  absl::Status WriteEntry(const CatalogEntry& entry);
  DatabasePtr Find(const DatabaseName& name) const;
  std::vector<DatabasePtr> Databases() const;
  absl::Status WriteToken(rocksdb::WriteBatch& batch);

  // See BlockEngine.
  uint64_t FirstInFlight() const override { return engine_->FirstInFlight(); }
  absl::Status CheckMergeable() const override { return engine_->CheckWritable(); }
  bool Tend() override;
  void Rest() override;
  void Flush(void (*flush)(RocksDbDatabase& database));

  const std::shared_ptr<RocksDbEngine> engine_;
  rocksdb::ColumnFamilyHandle* const catalog_;
  // A database was dropped: what keeps its part of the log is to be flushed soon.
  std::atomic<bool> log_is_to_be_freed_ = false;

  // Found when it was opened.
  std::vector<Damage> orphans_;

  // Held while the catalog is changed.
  std::mutex change_mutex_;
  uint32_t next_id_ = 1;

  // Guards the map; held for moments only.
  mutable std::mutex mutex_;
  std::map<std::string, DatabasePtr> databases_;

  // Held while backups are changed.
  std::mutex backup_mutex_;

  std::mutex token_watch_mutex_;
  std::function<void()> tokens_changed_;

  // Their threads use all of the above.
  Compactor compactor_;
  const std::shared_ptr<Committer> committer_;
};

absl::Status RocksDbStore::EachWithPrefix(char tag, const Visit& visit) const {
  const std::string prefix(1, tag);
  std::unique_ptr<rocksdb::Iterator> it(
      engine_->db().NewIterator(rocksdb::ReadOptions(), catalog_));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    absl::Status visited = visit(it->key().ToStringView().substr(1), it->value().ToStringView());
    if (!visited.ok()) return visited;
  }
  return FromRocksDb(it->status(), "cannot read the catalog");
}

absl::StatusOr<std::map<std::string, CatalogEntry>> RocksDbStore::ReadCatalog() {
  std::map<std::string, CatalogEntry> by_family;
  absl::Status read =
      EachWithPrefix(kDatabaseKeyTag, [&](std::string_view name, std::string_view value) {
        auto entry = DecodeEntry(name, value);
        if (entry.ok()) by_family.emplace(FamilyName(entry->record.id), *entry);
        return entry.status();
      });
  if (!read.ok()) return read;
  std::string next_id;
  rocksdb::Status got = engine_->db().Get(rocksdb::ReadOptions(), catalog_,
                                          std::string(kNextDatabaseIdKey), &next_id);
  if (got.ok()) next_id_ = ByteReader(next_id).Be32();
  if (!got.ok() && !got.IsNotFound()) return FromRocksDb(got, "cannot read the catalog");
  return by_family;
}

absl::Status RocksDbStore::Load(std::vector<rocksdb::ColumnFamilyHandle*> families) {
  absl::StatusOr<std::map<std::string, CatalogEntry>> catalog = ReadCatalog();
  absl::Status status = catalog.status();
  for (rocksdb::ColumnFamilyHandle* family : families) {
    auto entry =
        status.ok() ? catalog->extract(family->GetName()) : decltype(catalog->extract(""))();
    if (!entry.empty()) {
      status = AddDatabase(family, entry.mapped());
      continue;
    }
    if (status.ok()) status = Forget(family);
    engine_->db().DestroyColumnFamilyHandle(family);
  }
  if (!status.ok() || catalog->empty()) return status;
  // Dropped in what was cut off the log.
  if (engine_->accepts_loss()) {
    rocksdb::WriteBatch batch;
    for (const auto& [name, entry] : *catalog) {
      batch.Delete(catalog_, DatabaseKey(entry.record.name));
    }
    return engine_->Write(batch, Durability::kSynced);
  }
  return absl::DataLossError(
      fmt::format("damaged store: the column family of database '{}' is gone; restore a backup, or "
                  "do without it (--cut-damaged-log)",
                  catalog->begin()->second.record.name));
}

// A column family without a record: what a crash has left of a creation, which is empty, or of a
// drop, which has been noted; or, where something is damaged, one whose record is lost.
absl::Status RocksDbStore::Forget(rocksdb::ColumnFamilyHandle* family) {
  const uint32_t id = IdOf(family->GetName());
  std::string noted;
  const rocksdb::Status got =
      engine_->db().Get(rocksdb::ReadOptions(), catalog_, DroppedKey(id), &noted);
  const std::unique_ptr<rocksdb::Iterator> it(
      engine_->db().NewIterator(rocksdb::ReadOptions(), family));
  it->SeekToFirst();
  const bool is_empty = !it->Valid() && it->status().ok();
  if (!engine_->opened_in_need() && (got.ok() || is_empty || engine_->accepts_loss())) {
    return FromRocksDb(engine_->db().DropColumnFamily(family), "cannot drop a column family");
  }
  // Its name among families is taken.
  next_id_ = std::max(next_id_, id + 1);
  if (!engine_->opened_in_need()) {
    orphans_.push_back({family->GetName(),
                        absl::DataLossError("the catalog does not know it any more, as a log that "
                                            "is gone would do; its data is kept, and not served")});
  }
  return absl::OkStatus();
}

absl::Status RocksDbStore::AddDatabase(rocksdb::ColumnFamilyHandle* family,
                                       const CatalogEntry& entry) {
  auto database = std::make_shared<RocksDbDatabase>(engine_, committer_, family, entry.record,
                                                    entry.partition_ns);
  // What is damaged in one database is no reason to serve none.
  std::vector<RocksDbDatabase::Unmerged> unmerged;
  absl::Status loaded = database->Load(unmerged);
  if (!loaded.ok() && !absl::IsDataLoss(loaded)) return loaded;
  compactor_.Watch(database);
  for (const RocksDbDatabase::Unmerged& partition : unmerged) {
    compactor_.Found(database, partition.table, partition.partition, partition.blocks);
  }
  std::lock_guard lock(mutex_);
  databases_[entry.record.name] = std::move(database);
  return absl::OkStatus();
}

absl::Status RocksDbStore::WriteEntry(const CatalogEntry& entry) {
  rocksdb::WriteBatch batch;
  std::string next_id;
  PutBe32(next_id, next_id_);
  batch.Put(catalog_, std::string(kNextDatabaseIdKey), next_id);
  batch.Put(catalog_, DatabaseKey(entry.record.name), EncodeEntry(entry));
  return engine_->Write(batch, Durability::kSynced);
}

RocksDbStore::DatabasePtr RocksDbStore::Find(const DatabaseName& name) const {
  std::lock_guard lock(mutex_);
  auto found = databases_.find(name.text());
  return found == databases_.end() ? nullptr : found->second;
}

absl::StatusOr<DatabaseRecord> RocksDbStore::CreateDatabase(const DatabaseName& name,
                                                            const DatabaseSettings& settings) {
  std::lock_guard change(change_mutex_);
  if (Find(name) != nullptr) {
    return WithReason(
        absl::AlreadyExistsError(fmt::format("database \"{}\" already exists", name.text())),
        "DATABASE_EXISTS", {{"database", name.text()}});
  }
  CatalogEntry entry;
  entry.record = {next_id_++, name.text(), NowNs(), settings};
  rocksdb::ColumnFamilyHandle* family = nullptr;
  rocksdb::Status created = engine_->db().CreateColumnFamily(engine_->family_options(),
                                                             FamilyName(entry.record.id), &family);
  if (!created.ok()) return FromRocksDb(created, "cannot create a column family");
  absl::Status status = WriteEntry(entry);
  if (!status.ok()) {
    engine_->db().DropColumnFamily(family);
    engine_->db().DestroyColumnFamilyHandle(family);
    return status;
  }
  status = AddDatabase(family, entry);
  if (!status.ok()) return status;
  return entry.record;
}

std::vector<RocksDbStore::DatabasePtr> RocksDbStore::Databases() const {
  std::lock_guard lock(mutex_);
  std::vector<DatabasePtr> databases;
  for (const auto& [name, database] : databases_) databases.push_back(database);
  return databases;
}

absl::StatusOr<std::vector<DatabaseRecord>> RocksDbStore::ListDatabases() const {
  std::vector<DatabaseRecord> records;
  for (const DatabasePtr& database : Databases()) records.push_back(*database->LastView().record);
  return records;
}

absl::StatusOr<std::shared_ptr<Database>> RocksDbStore::FindDatabase(
    const DatabaseName& name) const {
  DatabasePtr database = Find(name);
  if (database == nullptr) return NoSuchDatabase(name.text());
  if (!database->readable()) return database->damage();
  return database;
}

absl::StatusOr<DatabaseRecord> RocksDbStore::UpdateDatabase(
    const DatabaseName& name, const std::function<void(DatabaseSettings&)>& change) {
  std::lock_guard lock(change_mutex_);
  DatabasePtr database = Find(name);
  if (database == nullptr) return NoSuchDatabase(name.text());
  CatalogEntry entry{*database->LastView().record, database->partition_ns()};
  change(entry.record.settings);
  absl::Status written = WriteEntry(entry);
  if (!written.ok()) return written;
  database->SetRecord(entry.record);
  return entry.record;
}

absl::Status RocksDbStore::DropDatabase(const DatabaseName& name) {
  std::lock_guard change(change_mutex_);
  DatabasePtr database = Find(name);
  if (database == nullptr) return NoSuchDatabase(name.text());
  rocksdb::WriteBatch batch;
  const std::string dropped_key = DroppedKey(database->LastView().record->id);
  batch.Delete(catalog_, DatabaseKey(name.text()));
  batch.Put(catalog_, dropped_key, "");
  absl::Status written = engine_->Write(batch, Durability::kSynced);
  if (!written.ok()) return written;
  {
    std::lock_guard lock(mutex_);
    databases_.erase(name.text());
  }
  absl::Status dropped = database->Drop();
  log_is_to_be_freed_ = true;
  if (!dropped.ok()) return dropped;
  // Ids are never used again: where this fails the note is one too many.
  rocksdb::WriteBatch done;
  done.Delete(catalog_, dropped_key);
  engine_->Write(done, Durability::kUnsynced).IgnoreError();
  return absl::OkStatus();
}

std::vector<Damage> RocksDbStore::Damages() const {
  std::vector<Damage> damages = orphans_;
  for (const DatabasePtr& database : Databases()) {
    if (database->damage().ok()) continue;
    damages.push_back({database->LastView().record->name, database->damage()});
  }
  return damages;
}

std::vector<Figure> RocksDbStore::Figures() const {
  Holdings sum;
  for (const DatabasePtr& database : Databases()) {
    const Holdings holdings = database->holdings();
    sum.blocks += holdings.blocks;
    sum.unmerged_blocks += holdings.unmerged_blocks;
    sum.bytes += holdings.bytes;
  }
  const CompactionStats merged = compactor_.stats();
  const RocksDbEngine::Disk disk = engine_->disk();
  const RocksDbEngine::Counts& counts = engine_->counts();
  const auto gauge = [](std::string_view name, std::string_view help, auto value) {
    return Figure{name, help, false, static_cast<double>(value)};
  };
  const auto count = [](std::string_view name, std::string_view help, auto value) {
    return Figure{name, help, true, static_cast<double>(value)};
  };
  return {
      gauge("blocks", "Blocks that are stored.", sum.blocks),
      gauge("unmerged_blocks", "Blocks as they were committed, to be merged.", sum.unmerged_blocks),
      gauge("block_bytes", "Size of all blocks, without garbage and the log.", sum.bytes),
      count("merges_total", "Merges done in the background.", merged.merges),
      count("merged_blocks_total", "Blocks that went into merges.", merged.merged_blocks),
      count("merged_rows_total", "Rows that went into merges.", merged.merged_rows),
      count("merge_seconds_total", "Time spent in merges.", merged.seconds),
      count("merge_failures_total",
            "Merges given up: damaged data, or the disk; their blocks stay as they are.",
            merged.failures),
      count("expired_blocks_total", "Blocks dropped for all points had expired.",
            merged.expired_blocks),
      gauge("disk_free_bytes", "Free on the disk of the data directory.", disk.free_bytes),
      gauge("disk_size_bytes", "Size of the disk of the data directory.", disk.bytes),
      count("flushes_total", "Buffers written to tables.", counts.flushes.load()),
      count("write_stalls_total", "How often RocksDB has slowed down or stopped writes.",
            counts.stalls.load()),
      count("damages_total", "How often a query or RocksDB has met something damaged.",
            counts.damages.load()),
      Figure{.name = "log_sync_seconds",
             .help = "Time to write a group of commits to the log and sync it.",
             .distribution = counts.syncs.Read()},
  };
}

// Where a database was dropped, or the disk is nearly full: one family's points that are still in
// memory keep the log of all. What a flush takes has been counted as taken.
bool RocksDbStore::Tend() {
  const bool helps =
      engine_->disk_nearly_full() && engine_->logged_bytes() >= kWorthwhileFlushBytes;
  if ((!log_is_to_be_freed_ && !helps) || !engine_->CheckUsable().ok()) return false;
  // A flush that fails for want of room would have RocksDB refuse all writes, a drop's too.
  if (!engine_->has_room_to_flush()) return false;
  log_is_to_be_freed_ = false;
  Flush([](RocksDbDatabase& database) { database.Flush(); });
  return true;
}

void RocksDbStore::Rest() {
  if (engine_->logged_bytes() < kWorthwhileFlushBytes) return;
  Flush([](RocksDbDatabase& database) { database.Settle(); });
}

void RocksDbStore::Flush(void (*flush)(RocksDbDatabase& database)) {
  // It counts as being in memory until it is not.
  const uint64_t logged_bytes = engine_->logged_bytes();
  for (const DatabasePtr& database : Databases()) flush(*database);
  engine_->FlushCatalog();
  engine_->SubtractLoggedBytes(logged_bytes);
}

absl::StatusOr<BackupRecord> RocksDbStore::Backup(const BackupOptions& options) {
  std::unique_lock lock(backup_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) {
    return WithReason(absl::UnavailableError("a backup is under way"), "BACKUP_UNDER_WAY");
  }
  auto made = CreateBackup(engine_->db(), InstanceId(), options);
  if (absl::IsDataLoss(made.status())) engine_->NoteDamage();
  return made;
}

absl::StatusOr<std::vector<TokenRecord>> RocksDbStore::ListTokens() const {
  std::vector<TokenRecord> tokens;
  absl::Status read =
      EachWithPrefix(kTokenKeyTag, [&](std::string_view name, std::string_view value) {
        auto token = DecodeToken(name, value);
        if (token.ok()) tokens.push_back(*std::move(token));
        return token.status();
      });
  if (!read.ok()) return read;
  return tokens;
}

absl::Status RocksDbStore::WriteToken(rocksdb::WriteBatch& batch) {
  absl::Status written = engine_->Write(batch, Durability::kSynced);
  if (!written.ok()) return written;
  std::lock_guard lock(token_watch_mutex_);
  if (tokens_changed_) tokens_changed_();
  return absl::OkStatus();
}

absl::Status RocksDbStore::PutToken(const TokenRecord& token) {
  rocksdb::WriteBatch batch;
  batch.Put(catalog_, TokenKey(token.name), Encode(token));
  return WriteToken(batch);
}

absl::Status RocksDbStore::DeleteToken(const std::string& name) {
  rocksdb::WriteBatch batch;
  batch.Delete(catalog_, TokenKey(name));
  return WriteToken(batch);
}

void RocksDbStore::WatchTokens(std::function<void()> changed) {
  std::lock_guard lock(token_watch_mutex_);
  tokens_changed_ = std::move(changed);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& data_dir,
                                                        const RocksDbOptions& options) {
  absl::Status checked = CheckOrMakeFormat(data_dir);
  if (!checked.ok()) return checked;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  absl::StatusOr<std::shared_ptr<RocksDbEngine>> engine =
      RocksDbEngine::Open(data_dir + "/rocksdb",
                          {.min_free_disk_bytes = options.min_free_disk_bytes,
                           .block_cache_bytes = options.block_cache_bytes,
                           .write_buffer_bytes = options.write_buffer_bytes,
                           .max_open_files = options.max_open_files,
                           .file_system = options.file_system,
                           .cut_damaged_log = options.cut_damaged_log,
                           .log = options.log},
                          families);
  if (!engine.ok()) return engine.status();
  // Before anything is merged, which an older program could not read.
  const absl::Status raised = RaiseFormat(data_dir);
  if (!raised.ok()) {
    for (rocksdb::ColumnFamilyHandle* family : families) {
      (*engine)->db().DestroyColumnFamilyHandle(family);
    }
    return raised;
  }
  auto store =
      std::make_unique<RocksDbStore>(*std::move(engine), families.front(), options.compaction);
  absl::Status loaded = store->Load({families.begin() + 1, families.end()});
  if (!loaded.ok()) return loaded;
  return store;
}

}  // namespace sluice::storage
