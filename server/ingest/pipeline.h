#ifndef SLUICE_SERVER_INGEST_PIPELINE_H_
#define SLUICE_SERVER_INGEST_PIPELINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/ingest/limits.h"
#include "server/ingest/outcome.h"
#include "server/ingest/point.h"
#include "server/ingest/precision.h"
#include "server/ingest/rejection_log.h"
#include "server/resources/memory_budget.h"
#include "server/resources/workers.h"
#include "storage/store.h"

namespace sluice::ingest {

// What a client may ask for of a write.
struct WriteOptions {
  // Whether to ingest the good points when others are rejected.
  bool accept_partial = true;
  // Whether to answer before the write-ahead log is synced (contract W-12).
  bool no_sync = false;
};

// A write as every door brings it. Defaults belong to the doors.
struct WriteRequest {
  storage::DatabaseName database;
  // One at least. Each is judged by itself, after those before it; what is good of all becomes
  // visible and durable together.
  std::vector<std::unique_ptr<PointSource>> batches = {};
  Precision precision = Precision::kNanosecond;
  // When the request arrived, taken once.
  int64_t arrival_ns = 0;
  // The same of each batch, where they came one after the other; empty otherwise.
  std::vector<int64_t> arrivals_ns = {};
  WriteOptions options = {};
  // Whether nothing is to be stored, and only told what would be.
  bool dry_run = false;
  // Stored with the points.
  std::optional<storage::WriterMark> mark = std::nullopt;
  // Where it came from, for the log of rejections.
  Origin origin = {};
  // Asked before anything is done and again before anything is stored; what is not OK ends the
  // write with it, and nothing is ingested. None means that somebody always waits.
  std::function<absl::Status()> check_awaited = nullptr;
  // What judging and storing take besides the body is charged to it; null counts nothing.
  server::MemoryBudget* memory = nullptr;
};

// Told once what became of a write, on any thread, maybe before Write returns. Must not block. An
// outcome for each batch, or for the first of them: one that is an error, or that is to be ingested
// whole or not at all and cannot be, is not taken with others. Those left come again.
using WriteDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<Outcome>>)>;

struct PipelineOptions {
  // Of databases that have none of their own.
  Limits limits = {};
  // Whether a write makes the database that it names (contract W-36).
  bool create_databases = false;
  // Told of each that is made by one, and where that came from. None tells nobody.
  std::function<void(const storage::DatabaseName&, const Origin&)> created = nullptr;
};

// Takes the points of requests into their databases. Rejected points are no error. Errors:
// InvalidArgument where the first batch as a whole is no points (contract W-4, W-81), NotFound for
// the database (W-6), what `check_awaited` said, those of MemoryBudget::Share::Grow, and those of
// Database::Commit.
//
// Nobody waits in it. A write that takes a moment is judged by the thread that brings it, any other
// by a worker; the store tells when it is done. Who needs writes in an order waits for one before
// the next: one that has to be judged again is committed later than others that came after it.
//
// Safe for use by many threads.
class Pipeline {
 public:
  // All must outlive it, and it the writes under way.
  Pipeline(storage::Store& store, RejectionLog& log, server::Workers& workers,
           const PipelineOptions& options = {})
      : store_(store), log_(log), workers_(workers), options_(options) {}

  // Of databases that have none of their own.
  const Limits& limits() const { return options_.limits; }

  // OK where a write to that database is not refused for want of it.
  absl::Status CheckDatabase(const storage::DatabaseName& name) const;

  // Takes all points that are good, or where the request says so all or none. Everything that the
  // outcome counts as ingested is visible and, unless no_sync, durable. A dry run counts what would
  // be ingested, and tells of all rejected points, as far as kMaxToldBytes hold them.
  void Write(WriteRequest request, WriteDone done) const;

 private:
  using DatabasePtr = std::shared_ptr<storage::Database>;
  struct Writing;

  absl::StatusOr<DatabasePtr> Find(const storage::DatabaseName& name) const;
  void RunSoon(std::shared_ptr<Writing> writing) const;
  void Run(const std::shared_ptr<Writing>& writing, bool may_block) const;
  absl::Status Attempt(const std::shared_ptr<Writing>& writing, bool may_block) const;
  absl::Status Store(const std::shared_ptr<Writing>& writing, storage::WriteSet write,
                     bool may_block) const;
  absl::Status MakeDatabase(const storage::DatabaseName& name, const Origin& origin) const;
  void Conclude(const std::shared_ptr<Writing>& writing, const absl::Status& committed) const;

  storage::Store& store_;
  RejectionLog& log_;
  server::Workers& workers_;
  const PipelineOptions options_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_PIPELINE_H_
