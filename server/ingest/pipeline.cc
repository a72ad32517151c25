#include "server/ingest/pipeline.h"

#include <fmt/format.h>

#include <optional>

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

// Reads a request's lines into a draft, and keeps count of what became of them.
class Reading {
 public:
  Reading(const WriteRequest& request, int64_t min_time_ns, Draft& draft)
      : request_(request), min_time_ns_(min_time_ns), draft_(draft), reader_(request.body) {}

  Outcome ReadAll() {
    while (reader_.Next()) {
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
    if (++outcome_.rejected > static_cast<int64_t>(kMaxRejections)) return;
    Rejection rejection;
    rejection.line_number = reader_.LineNumber();
    rejection.begin = reader_.begin();
    rejection.end = reader_.end();
    rejection.reason = objection.reason;
    rejection.unreadable = reader_.fault().has_value();
    rejection.message = std::move(objection.message);
    rejection.table = lineprotocol::CutUtf8(reader_.line().measurement, kMaxShownNameBytes);
    rejection.column = std::move(objection.column);
    rejection.excerpt = lineprotocol::CutUtf8(reader_.text(), kMaxExcerptBytes);
    outcome_.rejections.push_back(std::move(rejection));
  }

  const WriteRequest& request_;
  const int64_t min_time_ns_;
  Draft& draft_;
  LineReader reader_;
  Outcome outcome_;
};

}  // namespace

absl::StatusOr<Outcome> Pipeline::Write(const WriteRequest& request) const {
  auto database = store_.FindDatabase(request.database);
  if (!database.ok()) return database.status();
  absl::Status utf8 = CheckUtf8(request.body);
  if (!utf8.ok()) return utf8;
  int64_t min_time_ns = (*database)->record().MinTimeNs(request.arrival_ns);

  while (true) {
    Draft draft((*database)->schema(), limits_);
    Outcome outcome = Reading(request, min_time_ns, draft).ReadAll();
    if (outcome.ingested + outcome.rejected == 0) {
      return absl::InvalidArgumentError(
          "no points: the body has no line of line protocol besides blank lines and comments");
    }
    if (outcome.rejected > 0 && !request.accept_partial) outcome.ingested = 0;
    if (outcome.ingested == 0) return outcome;

    absl::Status committed =
        (*database)->Commit(draft.Finish(), request.no_sync ? storage::Durability::kUnsynced
                                                            : storage::Durability::kSynced);
    if (committed.ok()) return outcome;
    // Another request changed the schema meanwhile: judge again by the new one.
    if (!absl::IsAborted(committed)) return committed;
  }
}

}  // namespace sluice::ingest
