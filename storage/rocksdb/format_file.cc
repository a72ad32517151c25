#include "storage/rocksdb/format_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <system_error>

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

absl::Status Check(const fs::path& path, bool raise) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  int version = 0;
  if (line.starts_with(kPrefix)) version = std::atoi(line.c_str() + sizeof(kPrefix) - 1);
  if (version == kFormatVersion) return absl::OkStatus();
  if (version >= kOldestFormat && version < kFormatVersion) {
    return raise ? WriteVersion(path, kFormatVersion) : absl::OkStatus();
  }
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

absl::Status CheckFormat(const std::string& data_dir) {
  fs::path path = fs::path(data_dir) / "FORMAT";
  std::error_code error;
  // An empty file is one whose creation a crash cut short: nothing was stored yet.
  if (fs::exists(path, error) && fs::file_size(path, error) > 0) return Check(path, true);
  if (fs::exists(fs::path(data_dir) / "rocksdb" / "CURRENT", error)) {
    return absl::FailedPreconditionError(
        fmt::format("{} holds a store without the file FORMAT. Nothing was changed", data_dir));
  }
  fs::create_directories(data_dir, error);
  if (error) return SystemError("cannot create directory", data_dir, error.value());
  return WriteVersion(path, kFormatVersion);
}

absl::Status CheckFormatUnchanged(const std::string& data_dir) {
  return Check(fs::path(data_dir) / "FORMAT", false);
}

absl::Status WriteFormat(const std::string& data_dir, int version) {
  return WriteVersion(fs::path(data_dir) / "FORMAT", version);
}

}  // namespace sluice::storage
