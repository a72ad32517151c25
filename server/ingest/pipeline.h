#ifndef SLUICE_SERVER_INGEST_PIPELINE_H_
#define SLUICE_SERVER_INGEST_PIPELINE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/ingest/draft.h"
#include "server/ingest/outcome.h"
#include "server/ingest/precision.h"
#include "storage/store.h"

namespace sluice::ingest {

// A write as every door brings it. Defaults belong to the doors.
struct WriteRequest {
  storage::DatabaseName database;
  // Decompressed line protocol; must outlive the call.
  std::string_view body;
  Precision precision = Precision::kNanosecond;
  // When the request arrived, taken once.
  int64_t arrival_ns = 0;
  // Whether to ingest the good lines when others are rejected.
  bool accept_partial = true;
  // Whether to answer before the write-ahead log is synced (contract W-12).
  bool no_sync = false;
};

// Takes the points of a request into its database: all that are good, or where the request says so
// all or none. Everything that the outcome counts as ingested is visible and, unless no_sync,
// durable.
//
// Rejected lines are no error. Errors: InvalidArgument for a body that is not UTF-8 or has no point
// (contract W-4), NotFound for the database (W-6), and those of Database::Commit.
//
// Safe for use by many threads.
class Pipeline {
 public:
  // `store` must outlive it.
  Pipeline(storage::Store& store, const Limits& limits) : store_(store), limits_(limits) {}

  absl::StatusOr<Outcome> Write(const WriteRequest& request) const;

 private:
  storage::Store& store_;
  const Limits limits_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_PIPELINE_H_
