#include "storage/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace sluice::storage {
namespace {

bool WriteAndSync(const std::string& path, const std::string& text, mode_t mode) {
  unlink(path.c_str());
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (file < 0) return false;
  bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                 fsync(file) == 0;
  int error = errno;
  close(file);
  errno = error;
  return written;
}

// A rename is in the directory.
bool SyncDirectory(const std::string& path) {
  int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  bool synced = fsync(directory) == 0;
  int error = errno;
  close(directory);
  errno = error;
  return synced;
}

}  // namespace

absl::Status WriteDurably(const std::string& path, const std::string& text, mode_t mode) {
  const std::string fresh = path + ".new";
  bool written = WriteAndSync(fresh, text, mode) && std::rename(fresh.c_str(), path.c_str()) == 0 &&
                 SyncDirectory(std::filesystem::absolute(path).parent_path().string());
  if (written) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("cannot write {}: {}", path, std::generic_category().message(errno)));
}

}  // namespace sluice::storage
