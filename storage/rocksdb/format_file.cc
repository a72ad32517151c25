#include "storage/rocksdb/format_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/status/statusor.h"
#include "storage/durable_file.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "sluice store format ";

absl::Status SystemError(const std::string& what, const fs::path& path, int error) {
  return absl::UnavailableError(
      fmt::format("{} {}: {}", what, path.string(), std::generic_category().message(error)));
}

absl::Status WriteVersion(const fs::path& path, int version) {
  return WriteDurably(path.string(), fmt::format("{}{}\n", kPrefix, version), 0644);
}

// The first line of a file, which may have no other.
absl::StatusOr<std::string> ReadLine(const fs::path& path) {
  errno = 0;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  if (file || file.eof()) return line;
  return SystemError("cannot read", path, errno == 0 ? EIO : errno);
}

absl::StatusOr<int> ReadVersion(const fs::path& path) {
  const absl::StatusOr<std::string> line = ReadLine(path);
  if (!line.ok()) return line.status();
  int version = 0;
  if (line->starts_with(kPrefix)) version = std::atoi(line->c_str() + sizeof(kPrefix) - 1);
  if (version >= kOldestFormat && version <= kFormatVersion) return version;
  if (version > 0) {
    return absl::FailedPreconditionError(fmt::format(
        "{} says that the store has format {}, and this program reads formats {} to {}: it was "
        "written by {} Sluice; start that one{}. Nothing was changed",
        path.string(), version, kOldestFormat, kFormatVersion,
        version > kFormatVersion ? "a newer" : "an older",
        version > kFormatVersion ? "" : ", read the points by a query and write them to this one"));
  }
  return absl::FailedPreconditionError(
      fmt::format("{} does not name a store's format. Nothing was changed", path.string()));
}

}  // namespace

absl::Status CheckOrMakeFormat(const std::string& data_dir) {
  fs::path path = fs::path(data_dir) / "FORMAT";
  std::error_code error;
  // An empty file is one whose creation a crash cut short: nothing was stored yet.
  if (fs::exists(path, error) && fs::file_size(path, error) > 0) return ReadVersion(path).status();
  if (fs::exists(fs::path(data_dir) / "rocksdb" / "CURRENT", error)) {
    return absl::FailedPreconditionError(
        fmt::format("{} holds a store without the file FORMAT. Nothing was changed", data_dir));
  }
  if (fs::exists(fs::path(data_dir) / kIncomplete, error)) {
    return absl::FailedPreconditionError(fmt::format(
        "a restore to {} was broken off; do it again, or remove {} there. Nothing was changed",
        data_dir, kIncomplete));
  }
  fs::create_directories(data_dir, error);
  if (error) return SystemError("cannot create directory", data_dir, error.value());
  return WriteVersion(path, kFormatVersion);
}

absl::Status CheckFormat(const std::string& data_dir) {
  return ReadVersion(fs::path(data_dir) / "FORMAT").status();
}

absl::Status RaiseFormat(const std::string& data_dir) {
  const fs::path path = fs::path(data_dir) / "FORMAT";
  const absl::StatusOr<int> version = ReadVersion(path);
  if (!version.ok() || *version == kFormatVersion) return version.status();
  return WriteVersion(path, kFormatVersion);
}

absl::Status WriteFormat(const std::string& data_dir, int version) {
  return WriteVersion(fs::path(data_dir) / "FORMAT", version);
}

}  // namespace sluice::storage
