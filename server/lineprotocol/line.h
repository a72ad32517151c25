#ifndef SLUICE_SERVER_LINEPROTOCOL_LINE_H_
#define SLUICE_SERVER_LINEPROTOCOL_LINE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::lineprotocol {

enum class FieldType : uint8_t { kFloat, kInteger, kUnsigned, kString, kBoolean };

struct Tag {
  std::string_view key;
  std::string_view value;
};

struct Field {
  std::string_view key;
  FieldType type = FieldType::kFloat;
  // Unless a string: a float's IEEE bits, an integer, an unsigned integer wrapped, 0 or 1.
  int64_t bits = 0;
  // A string.
  std::string_view text;
};

inline constexpr uint32_t kNoNumber = ~uint32_t{0};

// One line of line protocol, taken apart. Names and texts are unescaped; they point into the body,
// or where something was escaped into memory of the reader's that the next line reuses.
struct Line {
  std::string_view measurement;
  // As written: not sorted, repeated keys kept.
  std::span<const Tag> tags;
  // At least one; repeated keys kept.
  std::span<const Field> fields;
  // In the unit that the request names.
  std::optional<int64_t> timestamp;

  // Where a reader has numbered them: lines of one body with the same number have the same
  // measurement and tags; the same measurement and the same tag keys in the same order; fields of
  // the same keys and types in the same order. Numbers count from 0.
  uint32_t series = kNoNumber;
  uint32_t tag_keys = kNoNumber;
  uint32_t shape = kNoNumber;
};

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
  kNameTooLong,
  kStringTooLong,
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

// Limits in bytes, after unescaping (contract W-53).
inline constexpr size_t kMaxNameBytes = size_t{64} << 10;
inline constexpr size_t kMaxStringBytes = size_t{1} << 20;

// The first bytes of `text`, at most `max_bytes`, without cutting a UTF-8 character in two.
std::string_view CutUtf8(std::string_view text, size_t max_bytes);

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_LINE_H_
