#ifndef SLUICE_STORAGE_ROCKSDB_STORE_LOCK_H_
#define SLUICE_STORAGE_ROCKSDB_STORE_LOCK_H_

#include <rocksdb/file_system.h>

#include <string>

namespace sluice::storage {

// The lock that RocksDB has on the open store in `path`, held meanwhile if it can be had.
class StoreLock {
 public:
  // `files` must outlive it.
  StoreLock(rocksdb::FileSystem& files, const std::string& path) : files_(files) {
    status_ = files_.LockFile(path + "/LOCK", {}, &lock_, nullptr);
  }
  ~StoreLock() {
    if (held()) files_.UnlockFile(lock_, {}, nullptr).PermitUncheckedError();
  }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

  bool held() const { return status_.ok(); }
  // Where it is not.
  std::string why() const { return status_.ToString(); }

 private:
  rocksdb::FileSystem& files_;
  rocksdb::FileLock* lock_ = nullptr;
  rocksdb::IOStatus status_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_STORE_LOCK_H_
