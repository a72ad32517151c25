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
  }
  return "unknown";
}

}  // namespace sluice::ingest
