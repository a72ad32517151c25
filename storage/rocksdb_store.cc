#include "storage/rocksdb_store.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

#include "storage/bytes.h"
#include "storage/format_file.h"
#include "storage/keys.h"
#include "storage/rocksdb_database.h"
#include "storage/rocksdb_engine.h"
#include "storage/rocksdb_status.h"
#include "storage/timestamp.h"

// A database in the catalog:
//
//   record := version:byte(1) id:be32 create_time:zigzag partition_ns:zigzag retention
//   retention := byte(0) | byte(1) nanoseconds:zigzag
//
// The catalog is the truth: a column family without a record is what a crash left of a creation or
// a drop, and goes when the store is opened.

namespace sluice::storage {
namespace {

constexpr uint8_t kRecordVersion = 1;

struct CatalogEntry {
  DatabaseRecord record;
  int64_t partition_ns = kPartitionNs;
};

std::string EncodeEntry(const CatalogEntry& entry) {
  std::string out;
  PutByte(out, kRecordVersion);
  PutBe32(out, entry.record.id);
  PutZigzag(out, entry.record.create_time_ns);
  PutZigzag(out, entry.partition_ns);
  PutByte(out, entry.record.retention_ns ? 1 : 0);
  if (entry.record.retention_ns) PutZigzag(out, *entry.record.retention_ns);
  return out;
}

absl::StatusOr<CatalogEntry> DecodeEntry(std::string_view name, std::string_view bytes) {
  ByteReader reader(bytes);
  bool known = reader.Byte() == kRecordVersion;
  CatalogEntry entry;
  entry.record.name = name;
  entry.record.id = reader.Be32();
  entry.record.create_time_ns = reader.Zigzag();
  entry.partition_ns = reader.Zigzag();
  if (reader.Byte() != 0) entry.record.retention_ns = reader.Zigzag();
  if (known && reader.ok() && reader.empty() && entry.partition_ns > 0) return entry;
  return absl::DataLossError(fmt::format("damaged catalog: the record of database '{}'", name));
}

std::string FamilyName(uint32_t id) { return fmt::format("db-{}", id); }

class RocksDbStore : public Store {
 public:
  RocksDbStore(std::shared_ptr<RocksDbEngine> engine, rocksdb::ColumnFamilyHandle* catalog)
      : engine_(std::move(engine)), catalog_(catalog) {}
  ~RocksDbStore() override { engine_->db().DestroyColumnFamilyHandle(catalog_); }

  // Takes over the handles of all databases' column families.
  absl::Status Load(std::vector<rocksdb::ColumnFamilyHandle*> families);

  absl::StatusOr<DatabaseRecord> CreateDatabase(const DatabaseName& name,
                                                std::optional<int64_t> retention_ns) override;
  std::vector<DatabaseRecord> ListDatabases() const override;
  absl::StatusOr<std::shared_ptr<Database>> FindDatabase(const DatabaseName& name) const override;
  absl::StatusOr<DatabaseRecord> SetRetention(const DatabaseName& name,
                                              std::optional<int64_t> retention_ns) override;
  absl::Status DropDatabase(const DatabaseName& name) override;

 private:
  using DatabasePtr = std::shared_ptr<RocksDbDatabase>;

  absl::StatusOr<std::map<std::string, CatalogEntry>> ReadCatalog();
  absl::Status AddDatabase(rocksdb::ColumnFamilyHandle* family, const CatalogEntry& entry);
  absl::Status WriteEntry(const CatalogEntry& entry);
  DatabasePtr Find(const DatabaseName& name) const;

  const std::shared_ptr<RocksDbEngine> engine_;
  rocksdb::ColumnFamilyHandle* const catalog_;

  // Held while the catalog is changed.
  std::mutex change_mutex_;
  uint32_t next_id_ = 1;

  // Guards the map; held for moments only.
  mutable std::mutex mutex_;
  std::map<std::string, DatabasePtr> databases_;
};

absl::StatusOr<std::map<std::string, CatalogEntry>> RocksDbStore::ReadCatalog() {
  std::map<std::string, CatalogEntry> by_family;
  const std::string prefix(1, kDatabaseKeyTag);
  std::unique_ptr<rocksdb::Iterator> it(
      engine_->db().NewIterator(rocksdb::ReadOptions(), catalog_));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    auto entry = DecodeEntry(it->key().ToStringView().substr(1), it->value().ToStringView());
    if (!entry.ok()) return entry.status();
    by_family.emplace(FamilyName(entry->record.id), *std::move(entry));
  }
  if (!it->status().ok()) return FromRocksDb(it->status(), "cannot read the catalog");
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
    if (status.ok()) {
      status = FromRocksDb(engine_->db().DropColumnFamily(family), "cannot drop a column family");
    }
    engine_->db().DestroyColumnFamilyHandle(family);
  }
  if (!status.ok() || catalog->empty()) return status;
  return absl::DataLossError(
      fmt::format("damaged store: the column family of database '{}' is gone",
                  catalog->begin()->second.record.name));
}

absl::Status RocksDbStore::AddDatabase(rocksdb::ColumnFamilyHandle* family,
                                       const CatalogEntry& entry) {
  auto database =
      std::make_shared<RocksDbDatabase>(engine_, family, entry.record, entry.partition_ns);
  absl::Status loaded = database->LoadSchema();
  if (!loaded.ok()) return loaded;
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
                                                            std::optional<int64_t> retention_ns) {
  std::lock_guard change(change_mutex_);
  if (Find(name) != nullptr) {
    return absl::AlreadyExistsError(fmt::format("database \"{}\" already exists", name.text()));
  }
  CatalogEntry entry;
  entry.record = {next_id_++, name.text(), NowNs(), retention_ns};
  rocksdb::ColumnFamilyHandle* family = nullptr;
  rocksdb::Status created = engine_->db().CreateColumnFamily(RocksDbEngine::FamilyOptions(),
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

std::vector<DatabaseRecord> RocksDbStore::ListDatabases() const {
  std::lock_guard lock(mutex_);
  std::vector<DatabaseRecord> records;
  for (const auto& [name, database] : databases_) records.push_back(database->record());
  return records;
}

absl::StatusOr<std::shared_ptr<Database>> RocksDbStore::FindDatabase(
    const DatabaseName& name) const {
  DatabasePtr database = Find(name);
  if (database == nullptr) return NoSuchDatabase(name.text());
  return database;
}

absl::StatusOr<DatabaseRecord> RocksDbStore::SetRetention(const DatabaseName& name,
                                                          std::optional<int64_t> retention_ns) {
  std::lock_guard change(change_mutex_);
  DatabasePtr database = Find(name);
  if (database == nullptr) return NoSuchDatabase(name.text());
  CatalogEntry entry{database->record(), database->partition_ns()};
  entry.record.retention_ns = retention_ns;
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
  batch.Delete(catalog_, DatabaseKey(name.text()));
  absl::Status written = engine_->Write(batch, Durability::kSynced);
  if (!written.ok()) return written;
  {
    std::lock_guard lock(mutex_);
    databases_.erase(name.text());
  }
  return database->Drop();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& data_dir) {
  absl::Status checked = CheckFormat(data_dir);
  if (!checked.ok()) return checked;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  absl::StatusOr<std::shared_ptr<RocksDbEngine>> engine =
      RocksDbEngine::Open(data_dir + "/rocksdb", families);
  if (!engine.ok()) return engine.status();
  auto store = std::make_unique<RocksDbStore>(*std::move(engine), families.front());
  absl::Status loaded = store->Load({families.begin() + 1, families.end()});
  if (!loaded.ok()) return loaded;
  return store;
}

}  // namespace sluice::storage
