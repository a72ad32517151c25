#include "storage/rocksdb/file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string_view>
#include <utility>

namespace sluice::storage {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSDirectory;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Whether RocksDB cannot lose a write of that file and go on.
bool IsLogOrManifest(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.ends_with(".log") || name.starts_with("MANIFEST-");
}

}  // namespace

// A log or manifest. Once the file system is frozen it goes on in name only.
class GuardedFileSystem::LogFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogFile(GuardedFileSystem& owner, std::unique_ptr<FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    return Guard([&] { return FSWritableFileOwnerWrapper::Append(data, options, debug); });
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    return Guard([&] { return FSWritableFileOwnerWrapper::Append(data, options, info, debug); });
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    return Guard([&] { return FSWritableFileOwnerWrapper::Truncate(size, options, debug); });
  }
  // Closing gives back what was allocated ahead, which may fail and does not matter: all that was
  // acknowledged has been synced.
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    FSWritableFileOwnerWrapper::Close(options, debug).PermitUncheckedError();
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    return Guard([&] { return FSWritableFileOwnerWrapper::Flush(options, debug); });
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Guard([&] { return FSWritableFileOwnerWrapper::Sync(options, debug); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Guard([&] { return FSWritableFileOwnerWrapper::Fsync(options, debug); });
  }
  // Ahead of need, and no promise.
  IOStatus Allocate(uint64_t offset, uint64_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    if (!owner_.frozen()) {
      FSWritableFileOwnerWrapper::Allocate(offset, size, options, debug).PermitUncheckedError();
    }
    return IOStatus::OK();
  }
  void PrepareWrite(size_t offset, size_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    if (!owner_.frozen()) FSWritableFileOwnerWrapper::PrepareWrite(offset, size, options, debug);
  }
  IOStatus RangeSync(uint64_t offset, uint64_t size, const IOOptions& options,
                     IODebugContext* debug) override {
    return Guard(
        [&] { return FSWritableFileOwnerWrapper::RangeSync(offset, size, options, debug); });
  }

 private:
  template <typename Act>
  IOStatus Guard(Act act) {
    return owner_.frozen() ? IOStatus::OK() : owner_.Swallow(act());
  }

  GuardedFileSystem& owner_;
};

// Its sync is what makes a new file's name last: a log whose name is lost is lost.
class GuardedFileSystem::Directory : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(GuardedFileSystem& owner, std::unique_ptr<FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), owner_(owner) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    if (owner_.frozen()) return IOStatus::OK();
    return owner_.Swallow(FSDirectoryWrapper::Fsync(options, debug));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& what) override {
    if (owner_.frozen()) return IOStatus::OK();
    return owner_.Swallow(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, what));
  }

 private:
  GuardedFileSystem& owner_;
};

GuardedFileSystem::~GuardedFileSystem() { GiveUpSpareFiles(); }

void GuardedFileSystem::KeepSpareFiles() {
  constexpr size_t kSpareFiles = 8;
  std::lock_guard lock(mutex_);
  while (spare_files_.size() < kSpareFiles) {
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    spare_files_.push_back(file);
  }
}

// Where the process has no descriptors left, makes some free; false where that is not what is
// wrong.
bool GuardedFileSystem::MakeDescriptors() {
  const int probe = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (probe >= 0) close(probe);
  return probe < 0 && (errno == EMFILE || errno == ENFILE) && GiveUpSpareFiles();
}

bool GuardedFileSystem::GiveUpSpareFiles() {
  std::lock_guard lock(mutex_);
  const bool had_some = !spare_files_.empty();
  for (int file : spare_files_) close(file);
  spare_files_.clear();
  return had_some;
}

IOStatus GuardedFileSystem::fault() const {
  std::lock_guard lock(mutex_);
  return fault_;
}

IOStatus GuardedFileSystem::Swallow(const IOStatus& status) {
  if (status.ok()) return status;
  std::lock_guard lock(mutex_);
  // The first fault is the cause of the others.
  if (!frozen_) fault_ = status;
  frozen_ = true;
  return IOStatus::OK();
}

IOStatus GuardedFileSystem::NewWritableFile(const std::string& name, const FileOptions& options,
                                            std::unique_ptr<FSWritableFile>* result,
                                            IODebugContext* debug) {
  // Not even its creation may change what the next process finds.
  if (frozen_) return fault();
  IOStatus made = FileSystemWrapper::NewWritableFile(name, options, result, debug);
  if (!made.ok() && MakeDescriptors()) {
    made = FileSystemWrapper::NewWritableFile(name, options, result, debug);
  }
  if (made.ok() && IsLogOrManifest(name)) {
    *result = std::make_unique<LogFile>(*this, std::move(*result));
  }
  return made;
}

IOStatus GuardedFileSystem::NewRandomAccessFile(
    const std::string& name, const FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext* debug) {
  IOStatus made = FileSystemWrapper::NewRandomAccessFile(name, options, result, debug);
  if (made.ok() || !MakeDescriptors()) return made;
  return FileSystemWrapper::NewRandomAccessFile(name, options, result, debug);
}

IOStatus GuardedFileSystem::ReopenWritableFile(const std::string& name, const FileOptions& options,
                                               std::unique_ptr<FSWritableFile>* result,
                                               IODebugContext* debug) {
  if (frozen_) return fault();
  IOStatus made = FileSystemWrapper::ReopenWritableFile(name, options, result, debug);
  if (made.ok() && IsLogOrManifest(name)) {
    *result = std::make_unique<LogFile>(*this, std::move(*result));
  }
  return made;
}

IOStatus GuardedFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                         std::unique_ptr<FSDirectory>* result,
                                         IODebugContext* debug) {
  IOStatus made = FileSystemWrapper::NewDirectory(name, options, result, debug);
  if (made.ok()) *result = std::make_unique<Directory>(*this, std::move(*result));
  return made;
}

IOStatus GuardedFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                       IODebugContext* debug) {
  return frozen_ ? IOStatus::OK() : FileSystemWrapper::DeleteFile(name, options, debug);
}

IOStatus GuardedFileSystem::RenameFile(const std::string& from, const std::string& to,
                                       const IOOptions& options, IODebugContext* debug) {
  return frozen_ ? IOStatus::OK() : FileSystemWrapper::RenameFile(from, to, options, debug);
}

IOStatus GuardedFileSystem::LinkFile(const std::string& from, const std::string& to,
                                     const IOOptions& options, IODebugContext* debug) {
  return frozen_ ? IOStatus::OK() : FileSystemWrapper::LinkFile(from, to, options, debug);
}

IOStatus GuardedFileSystem::Truncate(const std::string& name, size_t size, const IOOptions& options,
                                     IODebugContext* debug) {
  return frozen_ ? IOStatus::OK() : FileSystemWrapper::Truncate(name, size, options, debug);
}

IOStatus GuardedFileSystem::LockFile(const std::string& name, const IOOptions& options,
                                     rocksdb::FileLock** lock, IODebugContext* debug) {
  IOStatus locked = FileSystemWrapper::LockFile(name, options, lock, debug);
  // A file that cannot be written is another matter.
  lock_refused_ = !locked.ok() && access(name.c_str(), W_OK) == 0;
  return locked;
}

}  // namespace sluice::storage
