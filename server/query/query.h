#ifndef SLUICE_SERVER_QUERY_QUERY_H_
#define SLUICE_SERVER_QUERY_QUERY_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/ingest/rejection_log.h"
#include "server/query/governor.h"
#include "server/query/value.h"
#include "storage/store.h"

namespace sluice::query {

// The value of a parameter; std::monostate is NULL.
using Parameter = std::variant<std::monostate, bool, int64_t, double, std::string>;

struct QueryRequest {
  storage::DatabaseName database;
  std::string sql;
  // When the request arrived; what the retention period counts back from.
  int64_t arrival_ns = 0;
  // When it must be over; counted from its arrival, so that waiting for a worker is part of it.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  // What the statement's parameters are, such as $room, by their names without the mark.
  std::map<std::string, Parameter> parameters = {};
  // Set, by any thread, when nobody waits for the query any more: it then ends soon, with
  // Cancelled. May be null.
  std::shared_ptr<const std::atomic<bool>> abandoned = nullptr;
};

// A running SELECT, by SQLite over virtual tables (README.md in this folder). It reads a snapshot
// of the database, taken when it was opened. For one thread at a time.
class Query {
 public:
  // Checks and starts the query. InvalidArgument where the SQL is wrong, does anything but read, or
  // is not one statement, or has a parameter that is not given; NotFound where there is no such
  // database; Unavailable where the governor, which must outlive the query, has no room.
  static absl::StatusOr<std::unique_ptr<Query>> Open(const storage::Store& store,
                                                     const ingest::RejectionLog& log,
                                                     Governor& governor,
                                                     const QueryRequest& request);
  virtual ~Query() = default;

  virtual const std::vector<Column>& columns() const = 0;

  // Fills `row`; false at the end. InvalidArgument for what goes wrong in an expression, and for a
  // row of more than 16 MiB, DeadlineExceeded after the deadline, Cancelled where it was abandoned,
  // Unavailable where all queries together have no more memory or disk, DataLoss for damaged data.
  virtual absl::StatusOr<bool> Next(Row& row) = 0;
};

// Makes all queries of the process end soon, those to come too, with Unavailable: the server stops.
void StopQueries();

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_QUERY_H_
