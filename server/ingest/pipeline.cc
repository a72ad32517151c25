#include "server/ingest/pipeline.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "server/ingest/judge.h"
#include "server/ingest/table_judge.h"
#include "server/ingest/tally.h"
#include "server/resources/allocation_meter.h"
#include "storage/caught.h"

namespace sluice::ingest {
namespace {

// Of several batches together: their answers are held until they are sent.
constexpr size_t kMaxToldTogether = 500;

// Charges what the thread allocates for one request, in steps.
class Charge {
 public:
  // `share` is null where nothing is counted. `bytes` are those of the request's points.
  Charge(server::MemoryBudget::Share* share, size_t bytes) : share_(share), bytes_(bytes) {
    if (share == nullptr) due_ = std::numeric_limits<int64_t>::max();
  }

  // Charges from the start what a body of many columns takes, up to a quarter of what there is, and
  // lets no large one in that would not leave a half: of those that are in, one at least finds what
  // it needs, whoever else comes meanwhile.
  absl::Status ToBegin() {
    if (share_ == nullptr) return absl::OkStatus();
    const size_t max_bytes = share_->budget().max_bytes();
    const size_t bytes = std::min(kBytesAByte * bytes_, max_bytes / 4);
    due_ += static_cast<int64_t>(bytes);
    return share_->Grow(bytes, bytes > max_bytes / 64 ? max_bytes / 2 : 0);
  }

  absl::Status AsItGrows() { return meter_.grown() < due_ ? absl::OkStatus() : Take(); }

  // Before something that takes about so much at once.
  absl::Status ForMore(size_t bytes) {
    const int64_t needed = meter_.grown() + static_cast<int64_t>(bytes);
    if (needed < due_) return absl::OkStatus();
    absl::Status grown = share_->Grow(static_cast<size_t>(needed - due_) + kStepBytes);
    if (grown.ok()) due_ = needed + kStepBytes;
    return grown;
  }

  // Before columns are taken, which may be very much more than what was sent: vectors grow by
  // doubling.
  absl::Status ForColumns(size_t bytes) {
    expanded_bytes_ += bytes;
    return ForMore(2 * bytes);
  }

  // What comes next takes as much as the body twice at most, the blocks and the store's batch, and
  // `repeated_bytes` once more in what the store has not written out yet.
  absl::Status ForStoring(size_t repeated_bytes) {
    const int64_t needed =
        meter_.grown() + static_cast<int64_t>(2 * bytes_ + expanded_bytes_ + 3 * repeated_bytes);
    if (needed <= due_) return absl::OkStatus();
    return share_->Grow(static_cast<size_t>(needed - due_));
  }

 private:
  static constexpr int64_t kStepBytes = 256 << 10;
  static constexpr size_t kBytesAByte = 8;

  absl::Status Take() {
    const int64_t bytes = meter_.grown() - due_ + kStepBytes;
    absl::Status grown = share_->Grow(static_cast<size_t>(bytes));
    if (grown.ok()) due_ += bytes;
    return grown;
  }

  server::MemoryBudget::Share* const share_;
  const size_t bytes_;
  size_t expanded_bytes_ = 0;
  const server::AllocationMeter meter_;
  // As soon as it has grown by this, more is to be charged.
  int64_t due_ = 1;
};

bool HasTooManyDays(const Outcome& outcome) {
  return std::any_of(outcome.counts.begin(), outcome.counts.end(),
                     [](const RejectionCount& count) { return count.reason == Reason::kDayLimit; });
}

struct Judged {
  std::vector<Outcome> outcomes;
  storage::WriteSet write;
};

// Lets the judge see all points.
absl::StatusOr<Outcome> JudgeAll(PointSource& points, int64_t arrival_ns, const Telling& telling,
                                 Judge& judge, Charge& charge) {
  absl::Status status = points.Rewind();
  if (!status.ok()) return status;
  judge.BeginSource(arrival_ns);
  Tally tally(telling);
  for (auto item = points.Next(); item != PointSource::Item::kEnd; item = points.Next()) {
    if (item == PointSource::Item::kBroken) return points.error();
    if (item == PointSource::Item::kColumns) {
      status = charge.ForMore(points.columns_bytes());
      if (status.ok()) status = points.ReadColumns();
      if (!status.ok()) return status;
      const PointColumns& columns = *points.columns();
      status = charge.ForColumns(columns.taken_bytes());
      if (!status.ok()) return status;
      if (judge.AddColumns(columns)) {
        tally.Accept(static_cast<int64_t>(columns.rows));
      } else {
        points.SplitColumns();
      }
      continue;
    }
    status = charge.AsItGrows();
    if (!status.ok()) return status;
    const bool unreadable = item == PointSource::Item::kUnreadable;
    std::optional<Objection> objection = unreadable ? points.fault() : judge.Add(points.point());
    if (objection) {
      tally.Reject(points, unreadable, *std::move(objection));
    } else {
      tally.Accept();
    }
  }
  Outcome outcome = tally.Take();
  if (outcome.ingested + outcome.rejected == 0) {
    return absl::InvalidArgumentError(std::string(points.no_points()));
  }
  return outcome;
}

size_t DaysOf(const storage::TableBatch& rows) {
  absl::flat_hash_set<int64_t> days;
  int64_t last = 0;
  for (int64_t time_ns : rows.timestamps()) {
    const int64_t day = DayOf(time_ns);
    if (days.empty() || day != last) days.insert(last = day);
  }
  return days.size();
}

size_t RepeatedTagBytes(const storage::WriteSet& write) {
  size_t bytes = 0;
  for (const storage::TableBatch& rows : write.batches) {
    bytes += storage::RepeatedTagBytes(rows, DaysOf(rows));
  }
  return bytes;
}

int64_t ArrivalOf(const WriteRequest& request, size_t batch) {
  return request.arrivals_ns.empty() ? request.arrival_ns : request.arrivals_ns[batch];
}

// Judges the first `count` batches, or as many as can be taken together. The judge has already
// taken some points of one that cannot: then those before it are judged again without.
absl::StatusOr<Judged> JudgeTogether(const WriteRequest& request, size_t count,
                                     const std::shared_ptr<const storage::DatabaseSchema>& schema,
                                     const JudgeOptions& options, Charge& charge) {
  Judge judge(schema, options);
  Judged judged;
  size_t told = 0;
  for (size_t i = 0; i < count && told < kMaxToldTogether; ++i) {
    absl::StatusOr<Outcome> outcome =
        JudgeAll(*request.batches[i], ArrivalOf(request, i),
                 request.dry_run ? kTellAll : kTellFirst, judge, charge);
    // Days are counted over all that go together.
    const bool taken = outcome.ok() && (outcome->rejected == 0 || request.options.accept_partial) &&
                       (i == 0 || !HasTooManyDays(*outcome));
    if (!taken && i > 0) return JudgeTogether(request, i, schema, options, charge);
    if (!outcome.ok()) return outcome.status();
    told += outcome->rejections.size() + outcome->rejected_index_deltas.size() / 1000;
    judged.outcomes.push_back(*std::move(outcome));
    if (!taken) {
      judged.outcomes.back().ingested = 0;
      return judged;
    }
  }
  judged.write = judge.Finish();
  return judged;
}

size_t BytesOf(const std::vector<std::unique_ptr<PointSource>>& batches) {
  size_t bytes = 0;
  for (const auto& points : batches) bytes += points->bytes();
  return bytes;
}

bool AreUtf8(const std::vector<std::unique_ptr<PointSource>>& batches) {
  return std::all_of(batches.begin(), batches.end(),
                     [](const auto& points) { return points->is_utf8(); });
}

// What a thread that reads from the network may judge: so much takes as long as to hand it to
// another one.
bool IsQuick(const std::vector<std::unique_ptr<PointSource>>& batches) {
  constexpr size_t kQuickBytes = size_t{16} << 10;
  return BytesOf(batches) <= kQuickBytes &&
         std::all_of(batches.begin(), batches.end(),
                     [](const auto& points) { return points->is_quick(); });
}

}  // namespace

// A write under way. It is with one thread at a time: the one that judges it, or the store's.
struct Pipeline::Writing {
  Writing(WriteRequest asked, WriteDone when_done)
      : request(std::move(asked)), done(std::move(when_done)) {}

  WriteRequest request;
  WriteDone done;
  // Held until it is over.
  std::optional<server::MemoryBudget::Share> memory;
  // Of the attempt under way.
  DatabasePtr database = nullptr;
  uint32_t database_id = 0;
  std::vector<Outcome> outcomes = {};

  absl::Status CheckAwaited() const {
    return request.check_awaited ? request.check_awaited() : absl::OkStatus();
  }
  // The first result counts: what throws while it is told brings another.
  void Finish(absl::StatusOr<std::vector<Outcome>> result) {
    if (!done) return;
    request.batches.clear();
    memory.reset();
    std::exchange(done, nullptr)(std::move(result));
  }
};

// Null where there is no such database and a write is to make it.
absl::StatusOr<Pipeline::DatabasePtr> Pipeline::Find(const storage::DatabaseName& name) const {
  absl::StatusOr<DatabasePtr> database = store_.FindDatabase(name);
  if (absl::IsNotFound(database.status()) && options_.create_databases) return nullptr;
  return database;
}

absl::Status Pipeline::CheckDatabase(const storage::DatabaseName& name) const {
  return Find(name).status();
}

void Pipeline::Write(WriteRequest request, WriteDone done) const {
  auto writing = std::make_shared<Writing>(std::move(request), std::move(done));
  if (IsQuick(writing->request.batches)) return Run(writing, false);
  RunSoon(std::move(writing));
}

void Pipeline::RunSoon(std::shared_ptr<Writing> writing) const {
  workers_.Post([this, writing = std::move(writing)] { Run(writing, true); });
}

void Pipeline::Run(const std::shared_ptr<Writing>& writing, bool may_block) const {
  const absl::Status attempted = storage::Caught([&] { return Attempt(writing, may_block); });
  if (!attempted.ok()) writing->Finish(attempted);
}

// The whole way of a write, up to where the store has it: find the database, judge all points by
// its schema as it is, commit what is good. An error ends the write; otherwise it goes on in
// Conclude, or is over. What takes time is not done where it may not block, but soon.
absl::Status Pipeline::Attempt(const std::shared_ptr<Writing>& writing, bool may_block) const {
  WriteRequest& request = writing->request;
  absl::StatusOr<DatabasePtr> database = Find(request.database);
  if (!database.ok()) return database.status();
  absl::Status status = writing->CheckAwaited();
  // Which tells how large it is, decompressed.
  if (status.ok()) status = request.batches.front()->Rewind();
  if (!status.ok()) return status;

  if (request.memory != nullptr) writing->memory.emplace(*request.memory);
  Charge charge(writing->memory ? &*writing->memory : nullptr, BytesOf(request.batches));
  status = charge.ToBegin();
  if (!status.ok()) return status;

  JudgeOptions options = {.limits = options_.limits,
                          .precision = request.precision,
                          .arrival_ns = request.arrival_ns,
                          .check_utf8 = !AreUtf8(request.batches)};
  auto schema = std::make_shared<const storage::DatabaseSchema>();
  if (*database != nullptr) {
    absl::StatusOr<storage::DatabaseView> view = (*database)->View();
    if (!view.ok()) return view.status();
    const storage::DatabaseSettings& settings = view->record->settings;
    if (settings.max_tables) options.limits.max_tables = *settings.max_tables;
    if (settings.max_columns) options.limits.max_columns = *settings.max_columns;
    options.min_time_ns = view->record->MinTimeNs(request.arrival_ns);
    schema = std::move(view->schema);
    writing->database_id = view->record->id;
  }
  absl::StatusOr<Judged> judged =
      JudgeTogether(request, request.batches.size(), schema, options, charge);
  if (!judged.ok()) return judged.status();
  writing->outcomes = std::move(judged->outcomes);
  if (request.dry_run) {
    writing->Finish(std::move(writing->outcomes));
    return absl::OkStatus();
  }
  status = charge.ForStoring(RepeatedTagBytes(judged->write));
  if (!status.ok()) return status;
  writing->database = *std::move(database);
  if (request.mark) {
    judged->write.mark = request.mark;
    judged->write.mark->sequence += static_cast<int64_t>(writing->outcomes.size()) - 1;
    judged->write.judged_by = std::move(schema);
  }
  return Store(writing, std::move(judged->write), may_block);
}

// Commits what has been judged. Nothing of `writing` may be used when it returns: it may be over.
absl::Status Pipeline::Store(const std::shared_ptr<Writing>& writing, storage::WriteSet write,
                             bool may_block) const {
  const WriteRequest& request = writing->request;
  if (write.batches.empty() && !write.mark) {
    Conclude(writing, absl::OkStatus());
    return absl::OkStatus();
  }
  absl::Status status = writing->CheckAwaited();
  if (!status.ok()) return status;
  if (writing->database == nullptr) {
    // A database is made by a thread that may wait for the disk, and then all is judged again.
    if (may_block) status = MakeDatabase(request.database, request.origin);
    if (status.ok()) RunSoon(writing);
    return status;
  }
  writing->database->Commit(
      std::move(write),
      request.options.no_sync ? storage::Durability::kUnsynced : storage::Durability::kSynced,
      [this, writing](const absl::Status& committed) {
        const absl::Status told = storage::Caught([&] { Conclude(writing, committed); });
        if (!told.ok()) writing->Finish(told);
      });
  return absl::OkStatus();
}

absl::Status Pipeline::MakeDatabase(const storage::DatabaseName& name, const Origin& origin) const {
  absl::Status created = store_.CreateDatabase(name, {}).status();
  if (created.ok() && options_.created) options_.created(name, origin);
  return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;
}

// The store is done with it. Another request may have changed the schema meanwhile, or the database
// has been dropped and is to be made again: then all is judged again.
void Pipeline::Conclude(const std::shared_ptr<Writing>& writing,
                        const absl::Status& committed) const {
  const WriteRequest& request = writing->request;
  const bool again =
      absl::IsAborted(committed) || (absl::IsNotFound(committed) && options_.create_databases);
  if (again) {
    writing->memory.reset();
    return RunSoon(writing);
  }
  if (!committed.ok()) return writing->Finish(committed);
  for (const Outcome& outcome : writing->outcomes) {
    if (writing->database == nullptr || outcome.rejections.empty()) continue;
    log_.Add(writing->database_id, request.arrival_ns, request.origin, outcome.rejections);
  }
  writing->Finish(std::move(writing->outcomes));
}

}  // namespace sluice::ingest
