#include "storage/rocksdb_status.h"

#include <fmt/format.h>

namespace sluice::storage {

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  std::string text = fmt::format("{}: {}", doing, status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(text);
  bool later = status.IsNoSpace() || status.IsBusy() || status.IsIncomplete() ||
               status.IsTimedOut() || status.IsTryAgain() || status.IsShutdownInProgress();
  return later ? absl::UnavailableError(text) : absl::InternalError(text);
}

}  // namespace sluice::storage
