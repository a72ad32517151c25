#include "storage/rocksdb/check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>

#include "storage/block/block.h"
#include "storage/block/block_key.h"
#include "storage/bytes.h"
#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/log_check.h"
#include "storage/rocksdb/no_log.h"
#include "storage/rocksdb/status.h"
#include "storage/rocksdb/store_lock.h"
#include "storage/schema.h"
#include "storage/timestamp.h"
#include "storage/token_record.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlocksAStep = 1000;
// Of a partition, so far that of every database.
constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;
// More of them say nothing more.
constexpr size_t kMaxFaults = 1000;

// Whether the lock cannot be taken because nothing can be written there, and nobody who sees the
// same file system otherwise has it.
bool IsReadOnlyAndFree(const std::string& lock) {
  struct statvfs about {};
  if (statvfs(lock.c_str(), &about) != 0 || (about.f_flag & ST_RDONLY) == 0) return false;
  const int file = open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  struct flock held = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
  const bool is_free = file >= 0 && fcntl(file, F_GETLK, &held) == 0 && held.l_type == F_UNLCK;
  if (file >= 0) close(file);
  return is_free;
}

std::string WhatIsWrong(const BlockKey& key, std::string_view directory, const std::string* body,
                        StoreReport& report) {
  absl::StatusOr<Block> block = Block::Open(directory);
  if (!block.ok()) return std::string(block.status().message());
  if (block->has_body() == (body != nullptr)) return "a body too many, or none";
  if (body != nullptr) {
    absl::Status attached = block->AttachBody(*body);
    if (!attached.ok()) return std::string(attached.message());
  }
  auto times = block->DecodeTimestamps();
  auto sets = block->DecodeSets();
  if (!times.ok() || !sets.ok()) return "times or sets that cannot be decoded";
  if (times->size() != block->row_count() || sets->size() != block->row_count()) {
    return "another number of rows than the directory says";
  }
  for (int64_t time : *times) {
    if (time < block->min_time_ns() || time > block->max_time_ns()) {
      return "a time that the directory leaves out";
    }
    if (PartitionOf(time, kDayNs) != key.partition) return "a time of another partition";
  }
  for (size_t position : block->columns()) {
    if (!block->DecodeColumn(position).ok()) return "a column that cannot be decoded";
  }
  report.rows += block->row_count();
  ++report.blocks;
  return "";
}

// A RocksDB that is only read, with all its column families, and what its log has in memory.
// Nothing below its path is changed, nor locked.
class ReadOnlyDb {
 public:
  // `env` must outlive it. What RocksDB wants to log goes nowhere.
  static rocksdb::Status Open(rocksdb::Env& env, const std::string& path,
                              std::unique_ptr<ReadOnlyDb>& opened);
  ~ReadOnlyDb();
  ReadOnlyDb(const ReadOnlyDb&) = delete;
  ReadOnlyDb& operator=(const ReadOnlyDb&) = delete;

  rocksdb::DB& db() { return *db_; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& families() const { return families_; }

 private:
  ReadOnlyDb() = default;

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

rocksdb::Status ReadOnlyDb::Open(rocksdb::Env& env, const std::string& path,
                                 std::unique_ptr<ReadOnlyDb>& opened) {
  rocksdb::DBOptions options;
  options.env = &env;
  options.info_log = std::make_shared<NoLog>();
  std::vector<std::string> names;
  rocksdb::Status status = rocksdb::DB::ListColumnFamilies(options, path, &names);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) {
    descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::unique_ptr<ReadOnlyDb> made(new ReadOnlyDb());
  rocksdb::DB* db = nullptr;
  if (status.ok()) {
    status = rocksdb::DB::OpenForReadOnly(options, path, descriptors, &made->families_, &db);
  }
  made->db_.reset(db);
  if (status.ok()) opened = std::move(made);
  return status;
}

ReadOnlyDb::~ReadOnlyDb() {
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
}

// A write that a crash has cut short is nothing wrong.
std::string WhatIsWrongWithTheLog(const std::string& path) {
  const auto end = FindLogEnd(*rocksdb::FileSystem::Default(), path);
  if (!end.ok()) return std::string(end.status().message());
  return *end && (*end)->is_damage ? ToString(**end) : "";
}

class Checker {
 public:
  Checker(rocksdb::DB& db, const std::function<void(size_t)>& progress)
      : db_(db), progress_(progress) {}

  void CheckCatalog(rocksdb::ColumnFamilyHandle* family) {
    Each(family, kDatabaseKeyTag, [&](std::string_view key, std::string_view value) {
      ++report_.databases;
      // See EncodeEntry in store.cc.
      ByteReader reader(value);
      reader.Byte();
      names_[fmt::format("db-{}", reader.Be32())] = fmt::format("database '{}'", key.substr(1));
    });
    Each(family, kDroppedKeyTag, [&](std::string_view key, std::string_view) {
      ByteReader reader(key.substr(1));
      dropped_.insert(fmt::format("db-{}", reader.Be32()));
    });
    Each(family, kTokenKeyTag, [&](std::string_view key, std::string_view value) {
      const absl::Status read = DecodeToken(key.substr(1), value).status();
      if (read.ok()) {
        ++report_.tokens;
      } else {
        Add(std::string(read.message()));
      }
    });
  }

  void CheckDatabase(rocksdb::ColumnFamilyHandle* family) {
    auto known = names_.find(family->GetName());
    const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(rocksdb::ReadOptions(), family));
    it->SeekToFirst();
    if (known == names_.end() && it->Valid() && dropped_.count(family->GetName()) == 0) {
      Add(fmt::format("{}: the catalog does not know it any more", family->GetName()));
    }
    const std::string name = known == names_.end() ? family->GetName() : known->second;
    std::map<uint32_t, std::string> tables;
    Each(family, kSchemaKeyTag, [&](std::string_view, std::string_view value) {
      const auto table = TableSchema::Decode(value);
      if (table.ok()) {
        ++report_.tables;
        tables[table->id()] = table->name();
      } else {
        Add(fmt::format("{}: {}", name, std::string(table.status().message())));
      }
    });
    const auto name_of = [&](uint32_t table) {
      auto found = tables.find(table);
      return found == tables.end() ? std::to_string(table) : fmt::format("'{}'", found->second);
    };
    std::set<std::string> bodies;
    Each(family, kBodyKeyTag, [&](std::string_view key, std::string_view) { bodies.emplace(key); });
    Each(family, kBlockKeyTag, [&](std::string_view bytes, std::string_view value) {
      const auto key = DecodeBlockKey(bytes);
      if (!key) return Add(fmt::format("{}: a key that is no block's", name));
      if (progress_ && report_.blocks % kBlocksAStep == 0) progress_(report_.blocks);
      std::string body;
      const bool has_own = db_.Get(rocksdb::ReadOptions(), family, BodyKey(*key), &body).ok();
      bodies.erase(BodyKey(*key));
      const std::string wrong = WhatIsWrong(*key, value, has_own ? &body : nullptr, report_);
      if (wrong.empty()) return;
      Add(fmt::format("{}, table {}, the day from {}, block {}: {}", name, name_of(key->table),
                      FormatTimestamp(key->partition * kDayNs), key->sequence, wrong));
    });
    if (!bodies.empty()) Add(fmt::format("{}: {} bodies without a directory", name, bodies.size()));
  }

  // Of all files, also of what no key leads to any more.
  void CheckFiles() {
    const rocksdb::Status verified = db_.VerifyChecksum();
    if (!verified.ok()) Add(verified.ToString());
  }

  void Add(std::string fault) {
    if (report_.faults.size() < kMaxFaults) report_.faults.push_back(std::move(fault));
  }

  StoreReport& report() { return report_; }

 private:
  template <typename Visit>
  void Each(rocksdb::ColumnFamilyHandle* family, char tag, Visit visit) {
    const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(rocksdb::ReadOptions(), family));
    for (it->Seek(std::string(1, tag)); it->Valid() && it->key()[0] == tag; it->Next()) {
      visit(it->key().ToStringView(), it->value().ToStringView());
    }
    if (!it->status().ok()) {
      Add(fmt::format("{}: {}", family->GetName(), it->status().ToString()));
    }
  }

  rocksdb::DB& db_;
  const std::function<void(size_t)>& progress_;
  StoreReport report_;
  // Of databases, by their families.
  std::map<std::string, std::string> names_;
  // Families of databases that are being dropped.
  std::set<std::string> dropped_;
};

}  // namespace

absl::StatusOr<StoreReport> CheckStore(const std::string& data_dir,
                                       const std::function<void(size_t)>& progress) {
  const std::string path = data_dir + "/rocksdb";
  std::error_code error;
  if (!fs::exists(fs::path(path) / "CURRENT", error)) {
    return absl::NotFoundError(fmt::format("there is no store in {}", data_dir));
  }
  const absl::Status format = CheckFormat(data_dir);
  if (!format.ok()) return format;
  const StoreLock lock(*rocksdb::FileSystem::Default(), path);
  if (!lock.held() && !IsReadOnlyAndFree(path + "/LOCK")) {
    return absl::UnavailableError(
        fmt::format("a server has the store in {} open, or it cannot be locked; stop it, or look "
                    "over a backup of it: {}",
                    data_dir, lock.why()));
  }
  std::unique_ptr<ReadOnlyDb> opened;
  const rocksdb::Status status = ReadOnlyDb::Open(*rocksdb::Env::Default(), path, opened);
  const std::string log = WhatIsWrongWithTheLog(path);
  if (!status.ok()) {
    StoreReport unreadable;
    if (!log.empty()) unreadable.faults.push_back(log);
    unreadable.faults.push_back(status.ToString());
    return unreadable;
  }
  Checker checker(opened->db(), progress);
  if (!log.empty()) checker.Add(log);
  checker.CheckFiles();
  for (rocksdb::ColumnFamilyHandle* family : opened->families()) {
    if (family->GetName() == rocksdb::kDefaultColumnFamilyName) {
      checker.CheckCatalog(family);
    } else {
      checker.CheckDatabase(family);
    }
  }
  return checker.report();
}

}  // namespace sluice::storage
