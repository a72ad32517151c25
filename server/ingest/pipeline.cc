#include "server/ingest/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "server/allocation_meter.h"
#include "server/ingest/utf8.h"
#include "server/lineprotocol/line_reader.h"
#include "storage/timestamp.h"

namespace sluice::ingest {
namespace {

using lineprotocol::LineReader;
using lineprotocol::SyntaxError;
using lineprotocol::SyntaxFault;

Reason ReasonOf(SyntaxError error) {
  switch (error) {
    case SyntaxError::kIntegerOutOfRange:
    case SyntaxError::kUnsignedOutOfRange:
    case SyntaxError::kFloatOutOfRange:
      return Reason::kNumberOutOfRange;
    case SyntaxError::kTimestampOutOfRange:
      return Reason::kTimestampOutOfRange;
    case SyntaxError::kNameTooLong:
    case SyntaxError::kStringTooLong:
      return Reason::kValueTooLong;
    case SyntaxError::kInvalidMeasurement:
    case SyntaxError::kExpectedTagKey:
    case SyntaxError::kExpectedTagValue:
    case SyntaxError::kNoEqualsSign:
    case SyntaxError::kExpectedSpace:
    case SyntaxError::kNoFields:
    case SyntaxError::kTrailingContent:
    case SyntaxError::kEndsWithBackslash:
      return Reason::kSyntax;
  }
  return Reason::kSyntax;
}

// How many rejections an outcome tells in full, and how many bytes they may take.
struct Telling {
  size_t max_rejections;
  size_t max_bytes;
};
constexpr Telling kTellFirst = {kMaxRejections, std::numeric_limits<size_t>::max()};
constexpr Telling kTellAll = {std::numeric_limits<size_t>::max(), kMaxToldBytes};

// Charges what the thread allocates for one request, in steps.
class Charge {
 public:
  explicit Charge(const WriteRequest& request) : request_(request) {
    if (request.memory == nullptr) due_ = std::numeric_limits<int64_t>::max();
  }

  // Charges from the start what a body of many columns takes, up to a quarter of what there is, and
  // lets no large one in that would not leave a half: of those that are in, one at least finds what
  // it needs, whoever else comes meanwhile.
  absl::Status ToBegin() {
    if (request_.memory == nullptr) return absl::OkStatus();
    const size_t most = kBytesAByte * request_.body.size();
    const size_t bytes = std::min(most, request_.memory->budget().max_bytes() / 4);
    due_ += static_cast<int64_t>(bytes);
    const size_t max_bytes = request_.memory->budget().max_bytes();
    return request_.memory->Grow(bytes, bytes > max_bytes / 64 ? max_bytes / 2 : 0);
  }

  absl::Status AsItGrows() { return meter_.grown() < due_ ? absl::OkStatus() : Take(); }

  // What comes next takes as much as the body twice at most: the blocks, and RocksDB's batch.
  absl::Status ForStoring() {
    const int64_t needed = meter_.grown() + static_cast<int64_t>(2 * request_.body.size());
    if (request_.memory == nullptr || needed <= due_) return absl::OkStatus();
    return request_.memory->Grow(static_cast<size_t>(needed - due_));
  }

 private:
  static constexpr int64_t kStepBytes = 256 << 10;
  static constexpr size_t kBytesAByte = 8;

  absl::Status Take() {
    const int64_t bytes = meter_.grown() - due_ + kStepBytes;
    absl::Status grown = request_.memory->Grow(static_cast<size_t>(bytes));
    if (grown.ok()) due_ += bytes;
    return grown;
  }

  const WriteRequest& request_;
  const server::AllocationMeter meter_;
  // As soon as it has grown by this, more is to be charged.
  int64_t due_ = 1;
};

// Reads a request's lines into a draft, and keeps count of what became of them.
class Reading {
 public:
  Reading(const WriteRequest& request, int64_t min_time_ns, const Telling& telling, Draft& draft,
          Charge& charge)
      : request_(request),
        min_time_ns_(min_time_ns),
        telling_(telling),
        draft_(draft),
        charge_(charge),
        reader_(request.body) {}

  absl::StatusOr<Outcome> ReadAll() {
    while (reader_.Next()) {
      absl::Status charged = charge_.AsItGrows();
      if (!charged.ok()) return charged;
      std::optional<Objection> objection = reader_.fault() ? Unreadable() : Take();
      if (objection) {
        Reject(*std::move(objection));
      } else {
        ++outcome_.ingested;
      }
    }
    return std::move(outcome_);
  }

 private:
  std::optional<Objection> Unreadable() const {
    return Objection{ReasonOf(reader_.fault()->error), Text(*reader_.fault()), ""};
  }

  std::optional<Objection> Take() {
    const std::optional<int64_t>& timestamp = reader_.line().timestamp;
    std::optional<int64_t> time_ns = timestamp ? ToNanoseconds(*timestamp, request_.precision)
                                               : Truncate(request_.arrival_ns, request_.precision);
    if (!time_ns) return Objection{Reason::kTimestampOutOfRange, "timestamp overflows i64", ""};
    if (*time_ns < min_time_ns_) {
      return Objection{
          Reason::kBeyondRetention,
          fmt::format("points beyond retention policy: timestamp {} is older than the "
                      "minimum acceptable {}",
                      storage::FormatTimestamp(*time_ns), storage::FormatTimestamp(min_time_ns_)),
          ""};
    }
    return draft_.Add(reader_.line(), *time_ns);
  }

  void Reject(Objection objection) {
    ++outcome_.rejected;
    if (outcome_.rejections.size() == telling_.max_rejections || told_bytes_ > telling_.max_bytes) {
      return;
    }
    Rejection rejection;
    rejection.line_number = reader_.LineNumber();
    rejection.begin = reader_.begin();
    rejection.end = reader_.end();
    rejection.reason = objection.reason;
    rejection.unreadable = reader_.fault().has_value();
    rejection.message = Disarm(std::move(objection.message));
    rejection.table = lineprotocol::CutUtf8(reader_.line().measurement, kMaxShownNameBytes);
    rejection.column = std::move(objection.column);
    rejection.excerpt = lineprotocol::CutUtf8(reader_.text(), kMaxExcerptBytes);
    told_bytes_ += sizeof(Rejection) + rejection.message.size() + rejection.excerpt.size();
    outcome_.rejections.push_back(std::move(rejection));
  }

  const WriteRequest& request_;
  const int64_t min_time_ns_;
  const Telling telling_;
  Draft& draft_;
  Charge& charge_;
  LineReader reader_;
  Outcome outcome_;
  size_t told_bytes_ = 0;
};

// Reads all lines into the draft. `database` is null where the write is to make it.
absl::StatusOr<Outcome> Judge(const WriteRequest& request, const storage::Database* database,
                              const Telling& telling, Draft& draft, Charge& charge) {
  int64_t min_time_ns = database == nullptr ? std::numeric_limits<int64_t>::min()
                                            : database->record().MinTimeNs(request.arrival_ns);
  absl::StatusOr<Outcome> outcome = Reading(request, min_time_ns, telling, draft, charge).ReadAll();
  if (!outcome.ok()) return outcome;
  if (outcome->ingested + outcome->rejected == 0) {
    return absl::InvalidArgumentError(
        "no points: the body has no line of line protocol besides blank lines and comments");
  }
  if (outcome->rejected > 0 && !request.accept_partial) outcome->ingested = 0;
  return outcome;
}

}  // namespace

// Null where there is no such database and a write is to make it.
absl::StatusOr<Pipeline::DatabasePtr> Pipeline::Find(const storage::DatabaseName& name) const {
  absl::StatusOr<DatabasePtr> database = store_.FindDatabase(name);
  if (absl::IsNotFound(database.status()) && options_.create_databases) return nullptr;
  return database;
}

absl::Status Pipeline::CheckDatabase(const storage::DatabaseName& name) const {
  return Find(name).status();
}

Draft Pipeline::DraftFor(const DatabasePtr& database) const {
  if (database == nullptr) {
    return Draft(std::make_shared<const storage::DatabaseSchema>(), options_.limits);
  }
  storage::DatabaseSettings settings = database->record().settings;
  Limits limits = options_.limits;
  if (settings.max_tables) limits.max_tables = *settings.max_tables;
  if (settings.max_columns) limits.max_columns = *settings.max_columns;
  return Draft(database->schema(), limits);
}

// Aborted where the draft was judged by what is no longer so.
absl::Status Pipeline::Commit(const WriteRequest& request, DatabasePtr database,
                              Draft& draft) const {
  if (database == nullptr) {
    absl::Status created = store_.CreateDatabase(request.database, {}).status();
    return created.ok() || absl::IsAlreadyExists(created)
               ? absl::AbortedError("the database has just been made")
               : created;
  }
  return database->Commit(draft.Finish(), request.no_sync ? storage::Durability::kUnsynced
                                                          : storage::Durability::kSynced);
}

absl::StatusOr<Outcome> Pipeline::Write(const WriteRequest& request) const {
  absl::StatusOr<DatabasePtr> database = Find(request.database);
  absl::Status utf8 = database.ok() ? CheckUtf8(request.body) : database.status();
  if (!utf8.ok()) return utf8;
  while (database.ok()) {
    Charge charge(request);
    absl::Status begun = charge.ToBegin();
    if (!begun.ok()) return begun;
    Draft draft = DraftFor(*database);
    absl::StatusOr<Outcome> outcome = Judge(request, database->get(), kTellFirst, draft, charge);
    if (!outcome.ok()) return outcome;
    absl::Status committed = charge.ForStoring();
    if (!committed.ok()) return committed;
    if (outcome->ingested > 0) {
      if (request.should_stop && request.should_stop()) {
        return absl::CancelledError("the client no longer waits; nothing was ingested");
      }
      committed = Commit(request, *database, draft);
    }
    if (committed.ok()) {
      if (*database != nullptr) {
        log_.Add((*database)->record().id, request.arrival_ns, request.origin, outcome->rejections);
      }
      return outcome;
    }
    // Another request changed the schema meanwhile, or the database is new, or has been dropped
    // and is to be made again: judge again.
    bool again =
        absl::IsAborted(committed) || (absl::IsNotFound(committed) && options_.create_databases);
    if (!again) return committed;
    if (request.memory != nullptr) request.memory->Clear();
    database = Find(request.database);
  }
  return database.status();
}

absl::StatusOr<Outcome> Pipeline::Validate(const WriteRequest& request) const {
  absl::StatusOr<DatabasePtr> database = Find(request.database);
  absl::Status utf8 = database.ok() ? CheckUtf8(request.body) : database.status();
  if (!utf8.ok()) return utf8;
  Charge charge(request);
  absl::Status begun = charge.ToBegin();
  if (!begun.ok()) return begun;
  Draft draft = DraftFor(*database);
  return Judge(request, database->get(), kTellAll, draft, charge);
}

}  // namespace sluice::ingest
