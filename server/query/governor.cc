#include "server/query/governor.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>

namespace sluice::query {
namespace {

// A file's share of the disk grows by so much.
constexpr size_t kStepBytes = size_t{1} << 20;

}  // namespace

// A VFS on top of the system's that only knows temporary files (https://sqlite.org/vfs.html): they
// are in the governor's directory, without a name, and grow within its bounds.
class Governor::TemporaryFiles {
 public:
  explicit TemporaryFiles(Governor& governor)
      : governor_(governor),
        below_(*sqlite3_vfs_find(nullptr)),
        name_(fmt::format("sluice-{}", static_cast<const void*>(this))),
        vfs_(below_) {
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + below_.szOsFile;
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.xOpen = Open;
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~TemporaryFiles() { sqlite3_vfs_unregister(&vfs_); }
  TemporaryFiles(const TemporaryFiles&) = delete;
  TemporaryFiles& operator=(const TemporaryFiles&) = delete;

  const char* name() const { return name_.c_str(); }

 private:
  // What SQLite takes for the file. Behind it in memory is the one of the VFS below.
  struct File : sqlite3_file {
    TemporaryFiles* owner;
    server::MemoryBudget::Share* share;
    std::string* path;
    sqlite3_int64 counted;

    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  static File& From(sqlite3_file* file) { return *static_cast<File*>(file); }
  static sqlite3_file* Below(sqlite3_file* file) { return From(file).below(); }

  static int Open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* out, int flags,
                  int* out_flags);
  static int Close(sqlite3_file* file);
  static int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset);
  static sqlite3_io_methods MakeMethods();
  bool HasRoom() const;

  Governor& governor_;
  sqlite3_vfs& below_;
  const std::string name_;
  std::atomic<uint64_t> next_ = 0;
  sqlite3_vfs vfs_;
};

int Governor::TemporaryFiles::Open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* out,
                                   int flags, int* out_flags) {
  out->pMethods = nullptr;
  // Queries have no other files.
  if (name != nullptr) return SQLITE_CANTOPEN;
  auto& owner = *static_cast<TemporaryFiles*>(vfs->pAppData);
  // SQLite reads names up to a second NUL.
  auto path = std::make_unique<std::string>(
      fmt::format("{}/{}", owner.governor_.options_.temporary_dir, owner.next_++));
  path->append(2, '\0');
  File& file = From(out);
  const int opened =
      owner.below_.xOpen(&owner.below_, path->c_str(), file.below(), flags, out_flags);
  if (opened != SQLITE_OK) return opened;
  static const sqlite3_io_methods kMethods = MakeMethods();
  file.pMethods = &kMethods;
  file.owner = &owner;
  file.share = new server::MemoryBudget::Share(owner.governor_.temporary_disk_);
  file.path = path.release();
  file.counted = 0;
  return SQLITE_OK;
}

int Governor::TemporaryFiles::Close(sqlite3_file* file) {
  const int closed = Below(file)->pMethods->xClose(Below(file));
  delete From(file).share;
  delete From(file).path;
  return closed;
}

int Governor::TemporaryFiles::Write(sqlite3_file* base, const void* bytes, int size,
                                    sqlite3_int64 offset) {
  File& file = From(base);
  const sqlite3_int64 missing = offset + size - file.counted;
  if (missing > 0) {
    const size_t step = std::max(kStepBytes, static_cast<size_t>(missing));
    if (!file.owner->HasRoom() || !file.share->Grow(step).ok()) return SQLITE_FULL;
    file.counted += static_cast<sqlite3_int64>(step);
  }
  return file.below()->pMethods->xWrite(file.below(), bytes, size, offset);
}

bool Governor::TemporaryFiles::HasRoom() const {
  const GovernorOptions& options = governor_.options_;
  std::error_code error;
  const auto space = std::filesystem::space(options.temporary_dir, error);
  return error || space.available > options.min_free_disk_bytes + kStepBytes;
}

sqlite3_io_methods Governor::TemporaryFiles::MakeMethods() {
  sqlite3_io_methods methods = {};
  methods.iVersion = 1;
  methods.xClose = Close;
  methods.xWrite = Write;
  methods.xRead = [](sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
    return Below(file)->pMethods->xRead(Below(file), to, size, offset);
  };
  methods.xTruncate = [](sqlite3_file* file, sqlite3_int64 size) {
    return Below(file)->pMethods->xTruncate(Below(file), size);
  };
  // What is temporary need not last.
  methods.xSync = [](sqlite3_file*, int) { return SQLITE_OK; };
  methods.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
    return Below(file)->pMethods->xFileSize(Below(file), size);
  };
  methods.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
  methods.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
  methods.xCheckReservedLock = [](sqlite3_file*, int* reserved) {
    *reserved = 0;
    return SQLITE_OK;
  };
  methods.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
  methods.xSectorSize = [](sqlite3_file* file) {
    return Below(file)->pMethods->xSectorSize(Below(file));
  };
  methods.xDeviceCharacteristics = [](sqlite3_file* file) {
    return Below(file)->pMethods->xDeviceCharacteristics(Below(file));
  };
  return methods;
}

absl::StatusOr<std::unique_ptr<Governor>> Governor::Create(const GovernorOptions& options) {
  GovernorOptions chosen = options;
  std::error_code error;
  if (chosen.temporary_dir.empty()) {
    chosen.temporary_dir = std::filesystem::temp_directory_path(error).string();
  } else {
    std::filesystem::remove_all(chosen.temporary_dir, error);
    if (!error) std::filesystem::create_directories(chosen.temporary_dir, error);
  }
  if (error) {
    return absl::UnavailableError(fmt::format("cannot make {}, for temporary files of queries: {}",
                                              chosen.temporary_dir, error.message()));
  }
  return std::unique_ptr<Governor>(new Governor(chosen));
}

Governor::Governor(const GovernorOptions& options)
    : options_(options),
      memory_(options.memory_bytes / 2),
      temporary_disk_(options.temporary_bytes),
      files_(std::make_unique<TemporaryFiles>(*this)) {
  // Of the process; sorting and grouping spill to files before that.
  sqlite3_hard_heap_limit64(static_cast<sqlite3_int64>(options.memory_bytes / 2));
}

Governor::~Governor() = default;

absl::StatusOr<Governor::Slot> Governor::Enter() {
  if (++open_ <= options_.slots) return Slot(*this);
  --open_;
  return absl::UnavailableError(
      fmt::format("{} queries are open, and no more may be; try again", options_.slots));
}

const char* Governor::vfs() const { return files_->name(); }

}  // namespace sluice::query
