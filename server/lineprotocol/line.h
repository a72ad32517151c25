#ifndef SLUICE_SERVER_LINEPROTOCOL_LINE_H_
#define SLUICE_SERVER_LINEPROTOCOL_LINE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/ingest/point.h"

namespace sluice::lineprotocol {

// One line of line protocol, taken apart, is a point: its names and texts are unescaped, and point
// into the body, or where something was escaped into memory of the reader's that the next line
// reuses. It has at least one field, and no empty name or value.
using Line = ingest::Point;
using ingest::Field;
using ingest::FieldType;
using ingest::kNoNumber;
using ingest::Tag;

// What a line points into, besides the body.
struct LineMemory {
  std::vector<Tag> tags;
  std::vector<Field> fields;
  std::string text;
};

// What is wrong with a line; a closed list.
enum class SyntaxError : uint8_t {
  kInvalidMeasurement,
  kExpectedTagKey,
  kExpectedTagValue,
  kNoEqualsSign,
  kExpectedSpace,
  kNoFields,
  kTrailingContent,
  kEndsWithBackslash,
  kIntegerOutOfRange,
  kUnsignedOutOfRange,
  kFloatOutOfRange,
  kTimestampOutOfRange,
};

// A syntax error and what of the line it is about.
struct SyntaxFault {
  SyntaxError error;
  std::string_view context;
};

// The text for a person: that of InfluxDB 3's parser (contract, section 4), with what is quoted of
// the line cut at 1 KiB.
std::string Text(const SyntaxFault& fault);

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_LINE_H_
