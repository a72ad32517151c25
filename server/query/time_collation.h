#ifndef SLUICE_SERVER_QUERY_TIME_COLLATION_H_
#define SLUICE_SERVER_QUERY_TIME_COLLATION_H_

#include <cstdint>
#include <optional>
#include <string_view>

struct sqlite3;

namespace sluice::query {

// The collation of the column `time`: texts that are times (storage/timestamp.h) compare as times,
// so that '2026-01-01' and '2026-01-01T00:00:00Z' both mean what they say; other texts compare by
// bytes and sort after all times.
inline constexpr char kTimeCollation[] = "time";

int CompareTimes(std::string_view a, std::string_view b);

// The time that a text is: as storage::ParseTimestamp, or a number with a point or an exponent, as
// SQLite writes floats, of nanoseconds.
std::optional<int64_t> ParseTime(std::string_view text);

// The whole number of nanoseconds at or before `time_ns`, within the range of times.
int64_t FloorToTime(double time_ns);

// Makes the collation known to a connection. An SQLite result code.
int RegisterTimeCollation(sqlite3* connection);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_TIME_COLLATION_H_
