#include "server/lineprotocol/line_source.h"

#include "server/ingest/utf8.h"

namespace sluice::lineprotocol {
namespace {

using ingest::Reason;

Reason ReasonOf(SyntaxError error) {
  switch (error) {
    case SyntaxError::kIntegerOutOfRange:
    case SyntaxError::kUnsignedOutOfRange:
    case SyntaxError::kFloatOutOfRange:
      return Reason::kNumberOutOfRange;
    case SyntaxError::kTimestampOutOfRange:
      return Reason::kTimestampOutOfRange;
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

}  // namespace

absl::Status LineSource::Rewind() {
  if (!is_checked_) {
    absl::Status utf8 = ingest::CheckUtf8(body_);
    if (!utf8.ok()) return utf8;
    is_checked_ = true;
  }
  reader_.emplace(body_);
  return absl::OkStatus();
}

ingest::PointSource::Item LineSource::Next() {
  if (!reader_->Next()) return Item::kEnd;
  return reader_->fault() ? Item::kUnreadable : Item::kPoint;
}

ingest::Objection LineSource::fault() const {
  return {ReasonOf(reader_->fault()->error), Text(*reader_->fault()), ""};
}

std::optional<ingest::Place::Line> LineSource::line() {
  return ingest::Place::Line{
      .number = reader_->LineNumber(), .begin = reader_->begin(), .end = reader_->end()};
}

}  // namespace sluice::lineprotocol
