#ifndef SLUICE_STORAGE_SETTINGS_H_
#define SLUICE_STORAGE_SETTINGS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"

namespace sluice::storage {

// The highest limits that a database, or the server for all, may be given. SQL has tables of up to
// 2,000 columns.
inline constexpr uint32_t kMaxTableLimit = 100'000;
inline constexpr uint32_t kMaxColumnLimit = 2'000;

// What is set of a database when it is created, and can be changed at any time.
struct DatabaseSettings {
  // How long points are kept, in nanoseconds; nothing means for ever (contract W-64).
  std::optional<int64_t> retention_ns = std::nullopt;
  // How many tables it may have, and how many columns a table, time included (contract W-63);
  // nothing means as many as the server's flags say.
  std::optional<uint32_t> max_tables = std::nullopt;
  std::optional<uint32_t> max_columns = std::nullopt;

  friend bool operator==(const DatabaseSettings&, const DatabaseSettings&) = default;
};

// OK where a limit may be `limit`: 1 to kMaxTableLimit, and 2 to kMaxColumnLimit. InvalidArgument
// says what it may be.
absl::Status CheckTableLimit(uint64_t limit);
absl::Status CheckColumnLimit(uint64_t limit);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_SETTINGS_H_
