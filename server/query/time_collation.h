#ifndef SLUICE_SERVER_QUERY_TIME_COLLATION_H_
#define SLUICE_SERVER_QUERY_TIME_COLLATION_H_

#include <string_view>

struct sqlite3;

namespace sluice::query {

// The collation of the column `time`: texts that are times (storage/timestamp.h) compare as times,
// so that '2026-01-01' and '2026-01-01T00:00:00Z' both mean what they say; other texts compare by
// bytes and sort after all times.
inline constexpr char kTimeCollation[] = "time";

int CompareTimes(std::string_view a, std::string_view b);

// Makes the collation known to a connection. An SQLite result code.
int RegisterTimeCollation(sqlite3* connection);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_TIME_COLLATION_H_
