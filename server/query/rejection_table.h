#ifndef SLUICE_SERVER_QUERY_REJECTION_TABLE_H_
#define SLUICE_SERVER_QUERY_REJECTION_TABLE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "server/ingest/rejection_log.h"

struct sqlite3;

namespace sluice::query {

// Gives `connection` the table kRejectionTable of the lines that a database lately rejected, the
// newest first, if `sql` names it: time, principal, peer, door, line, reason, message, table_name,
// column_name, excerpt.
absl::Status AddRejectionTable(sqlite3* connection, const ingest::RejectionLog& log,
                               uint32_t database_id, std::string_view sql);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_REJECTION_TABLE_H_
