#ifndef SLUICE_STORAGE_ROCKSDB_FILE_SYSTEM_H_
#define SLUICE_STORAGE_ROCKSDB_FILE_SYSTEM_H_

#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sluice::storage {

// The file system that RocksDB sees. It turns a failed write of the log or of a manifest into the
// equivalent of a crash at that moment, from which RocksDB is known to recover.
//
// RocksDB does not survive such a failure by itself: whatever it does next with that file, closing
// included, trips an assertion of its own. So it never hears of it. From the first failed append or
// sync of a log or manifest on, the file system is frozen: what would change the disk changes
// nothing, and is answered with OK where it is about a log, a manifest or a name, with an error for
// tables. The disk stays as it is for the next process, and this one can close its store in order.
//
// Whoever writes must therefore ask `frozen()` afterwards: a write was made only if the file system
// is not frozen by then. Files of tables fail as they do; RocksDB copes with those. Safe for use by
// many threads.
class GuardedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit GuardedFileSystem(const std::shared_ptr<rocksdb::FileSystem>& below)
      : FileSystemWrapper(below) {}
  ~GuardedFileSystem() override;

  const char* Name() const override { return "GuardedFileSystem"; }

  bool frozen() const { return frozen_; }
  // What froze it.
  rocksdb::IOStatus fault() const;
  // Whether the lock of the directory was refused: another process has it.
  bool lock_refused() const { return lock_refused_; }

  // Holds some descriptors in reserve, for the store's own new files: connections, of which there
  // may be any number, would otherwise leave none for the next log. To be called now and then.
  void KeepSpareFiles();

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Truncate(const std::string& name, size_t size,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* debug) override;

 private:
  class LogFile;
  class Directory;

  // Freezes where that failed. OK in any case.
  rocksdb::IOStatus Swallow(const rocksdb::IOStatus& status);

  bool MakeDescriptors();
  // False where there was none.
  bool GiveUpSpareFiles();

  std::atomic<bool> frozen_ = false;
  std::atomic<bool> lock_refused_ = false;
  mutable std::mutex mutex_;
  rocksdb::IOStatus fault_;
  std::vector<int> spare_files_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_FILE_SYSTEM_H_
