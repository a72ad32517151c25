#include "storage/rocksdb/status.h"

#include <fmt/format.h>

namespace sluice::storage {

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  std::string text = fmt::format("{}: {}", doing, status.ToString());
  // A file that ought to be there is as good as one that cannot be read.
  const bool is_missing =
      status.IsPathNotFound() || status.subcode() == rocksdb::Status::SubCode::kPathNotFound;
  if (status.IsCorruption() || is_missing) return absl::DataLossError(text);
  bool later = status.IsNoSpace() || status.IsBusy() || status.IsIncomplete() ||
               status.IsTimedOut() || status.IsTryAgain() || status.IsShutdownInProgress();
  return later ? absl::UnavailableError(text) : absl::InternalError(text);
}

}  // namespace sluice::storage
