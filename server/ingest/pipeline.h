#ifndef SLUICE_SERVER_INGEST_PIPELINE_H_
#define SLUICE_SERVER_INGEST_PIPELINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/ingest/draft.h"
#include "server/ingest/outcome.h"
#include "server/ingest/precision.h"
#include "server/ingest/rejection_log.h"
#include "server/memory_budget.h"
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
  // Where it came from, for the log of rejections.
  Origin origin = {};
  // Asked before anything is stored; true ends the write with Cancelled, and nothing is ingested.
  // None means never.
  std::function<bool()> should_stop = nullptr;
  // What judging and storing take besides the body is charged to it; null counts nothing.
  server::MemoryBudget::Share* memory = nullptr;
};

struct PipelineOptions {
  // Of databases that have none of their own.
  Limits limits = {};
  // Whether a write makes the database that it names (contract W-36).
  bool create_databases = false;
};

// Takes the points of requests into their databases. Rejected lines are no error. Errors:
// InvalidArgument for a body that is not UTF-8 or has no point (contract W-4), NotFound for the
// database (W-6), Cancelled where the request should stop, those of MemoryBudget::Share::Grow, and
// those of Database::Commit.
//
// Safe for use by many threads.
class Pipeline {
 public:
  // `store` and `log` must outlive it.
  Pipeline(storage::Store& store, RejectionLog& log, const PipelineOptions& options = {})
      : store_(store), log_(log), options_(options) {}

  // OK where a write to that database is not refused for want of it.
  absl::Status CheckDatabase(const storage::DatabaseName& name) const;

  // Takes all points that are good, or where the request says so all or none. Everything that the
  // outcome counts as ingested is visible and, unless no_sync, durable.
  absl::StatusOr<Outcome> Write(const WriteRequest& request) const;

  // Judges a request as Write would, and stores nothing. The outcome counts as ingested what Write
  // would ingest, and tells of all rejected lines, as far as kMaxToldBytes hold them.
  absl::StatusOr<Outcome> Validate(const WriteRequest& request) const;

 private:
  using DatabasePtr = std::shared_ptr<storage::Database>;

  absl::StatusOr<DatabasePtr> Find(const storage::DatabaseName& name) const;
  Draft DraftFor(const DatabasePtr& database) const;
  absl::Status Commit(const WriteRequest& request, DatabasePtr database, Draft& draft) const;

  storage::Store& store_;
  RejectionLog& log_;
  const PipelineOptions options_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_PIPELINE_H_
