#include "server/ingest/outcome.h"

namespace sluice::ingest {

std::string_view Name(Reason reason) {
  switch (reason) {
    case Reason::kSyntax:
      return "syntax";
    case Reason::kNumberOutOfRange:
      return "number_out_of_range";
    case Reason::kTimestampOutOfRange:
      return "timestamp_out_of_range";
    case Reason::kValueTooLong:
      return "value_too_long";
    case Reason::kTypeConflict:
      return "type_conflict";
    case Reason::kDuplicateTag:
      return "duplicate_tag";
    case Reason::kDuplicateField:
      return "duplicate_field";
    case Reason::kReservedName:
      return "reserved_name";
    case Reason::kNoFields:
      return "no_fields";
    case Reason::kTableLimit:
      return "table_limit";
    case Reason::kColumnLimit:
      return "column_limit";
    case Reason::kBeyondRetention:
      return "beyond_retention";
    case Reason::kDayLimit:
      return "day_limit";
    case Reason::kNotUtf8:
      return "not_utf8";
    case Reason::kEmptyName:
      return "empty_name";
  }
  return "unknown";
}

std::string Disarm(std::string message) {
  static constexpr std::string_view kWords = "hinted handoff queue not empty";
  static constexpr std::string_view kOthers = "hinted handoff queue is not empty";
  for (size_t at = 0; (at = message.find(kWords, at)) != std::string::npos; at += kOthers.size()) {
    message.replace(at, kWords.size(), kOthers);
  }
  return message;
}

}  // namespace sluice::ingest
