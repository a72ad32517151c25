#ifndef SLUICE_SERVER_INGEST_LIMITS_H_
#define SLUICE_SERVER_INGEST_LIMITS_H_

#include <cstddef>

namespace sluice::ingest {

// How large a database's schema may grow (contract W-63).
struct Limits {
  size_t max_tables = 500;
  // In one table, the timestamp among them.
  size_t max_columns = 250;
  // On how many days (UTC) a request may have points, counted for each table: each becomes a block
  // of its own, however few its points are.
  size_t max_days = 20'000;
};

// Of names, tag values and string fields, in bytes (contract W-53).
inline constexpr size_t kMaxNameBytes = size_t{64} << 10;
inline constexpr size_t kMaxStringBytes = size_t{1} << 20;

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_LIMITS_H_
