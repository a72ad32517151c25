#ifndef SLUICE_STORAGE_ROCKSDB_READ_ONLY_H_
#define SLUICE_STORAGE_ROCKSDB_READ_ONLY_H_

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <vector>

namespace sluice::storage {

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

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_READ_ONLY_H_
