#include "storage/settings.h"

#include <fmt/format.h>

namespace sluice::storage {

absl::Status CheckTableLimit(uint64_t limit) {
  if (limit >= 1 && limit <= kMaxTableLimit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a limit of tables is 1 to {}, not {}", kMaxTableLimit, limit));
}

absl::Status CheckColumnLimit(uint64_t limit) {
  if (limit >= 2 && limit <= kMaxColumnLimit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a limit of columns, time included, is 2 to {}, not {}", kMaxColumnLimit, limit));
}

}  // namespace sluice::storage
