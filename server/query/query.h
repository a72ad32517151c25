#ifndef SLUICE_SERVER_QUERY_QUERY_H_
#define SLUICE_SERVER_QUERY_QUERY_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/ingest/rejection_log.h"
#include "server/query/value.h"
#include "storage/store.h"

namespace sluice::query {

struct QueryRequest {
  storage::DatabaseName database;
  std::string sql;
  // When the request arrived; what the retention period counts back from.
  int64_t arrival_ns = 0;
  // How long the query may run.
  std::chrono::milliseconds timeout = std::chrono::minutes(5);
};

// A running SELECT, by SQLite over virtual tables (README.md in this folder). It reads a snapshot
// of the database, taken when it was opened. For one thread at a time, but for Cancel.
class Query {
 public:
  // Checks and starts the query. InvalidArgument where the SQL is wrong, does anything but read, or
  // is not one statement; NotFound where there is no such database.
  static absl::StatusOr<std::unique_ptr<Query>> Open(const storage::Store& store,
                                                     const ingest::RejectionLog& log,
                                                     const QueryRequest& request);
  virtual ~Query() = default;

  virtual const std::vector<Column>& columns() const = 0;

  // Fills `row`; false at the end. InvalidArgument for what goes wrong in an expression, and for a
  // row of more than 16 MiB, DeadlineExceeded after the timeout, Cancelled after Cancel, DataLoss
  // for damaged data.
  virtual absl::StatusOr<bool> Next(Row& row) = 0;

  // Makes the query end soon. For any thread.
  virtual void Cancel() = 0;
};

// Makes all queries of the process end soon, those to come too, with Unavailable: the server stops.
void StopQueries();

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_QUERY_H_
