#ifndef SLUICE_STORAGE_RETENTION_H_
#define SLUICE_STORAGE_RETENTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sluice::storage {

// The longest retention period: 100 years.
inline constexpr int64_t kMaxRetentionNs = int64_t{36500} * 86400 * 1'000'000'000;

// A retention period as people write it: numbers with units, largest first or not, such as 30d,
// 2w3d or 12h30m; "none" for no retention period. Units: y (365 days), w, d, h, m, s.
// InvalidArgument for anything else, for zero and for more than kMaxRetentionNs.
absl::StatusOr<std::optional<int64_t>> ParseRetention(std::string_view text);

// OK where a period of so many nanoseconds may be.
absl::Status CheckRetention(int64_t retention_ns);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_RETENTION_H_
