#include "server/lineprotocol/line.h"

#include <fmt/format.h>

#include "server/ingest/utf8.h"

namespace sluice::lineprotocol {
namespace {

constexpr size_t kMaxQuotedBytes = 1024;
constexpr size_t kContextChars = 10;

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// More than ten bytes become the first ten characters and dots.
std::string Shorten(std::string_view text) {
  if (text.size() <= kContextChars) return std::string(text);
  size_t end = 0;
  for (size_t chars = 0; end < text.size(); ++end) {
    if (!IsContinuation(text[end]) && ++chars > kContextChars) break;
  }
  return fmt::format("{}...", text.substr(0, end));
}

std::string Quote(std::string_view text) {
  if (text.size() <= kMaxQuotedBytes) return fmt::format("`{}`", text);
  return fmt::format("`{}...`", ingest::CutUtf8(text, kMaxQuotedBytes));
}

std::string Expected(const char* what, std::string_view got, const std::string& quoted) {
  if (got.empty()) return fmt::format("Expected {}, got end of input", what);
  return fmt::format("Expected {}, got {}", what, quoted);
}

}  // namespace

std::string Text(const SyntaxFault& fault) {
  switch (fault.error) {
    case SyntaxError::kInvalidMeasurement:
      return "Invalid measurement was provided";
    case SyntaxError::kExpectedTagKey:
      return Expected("tag key", fault.context, Quote(Shorten(fault.context)));
    case SyntaxError::kExpectedTagValue:
      return Expected("tag value", fault.context, Quote(Shorten(fault.context)));
    case SyntaxError::kNoEqualsSign:
      return fmt::format("Tag set malformed: could not find equals sign in `{}`",
                         Shorten(fault.context));
    case SyntaxError::kExpectedSpace:
      return Expected("at least one space character", fault.context, Quote(fault.context));
    case SyntaxError::kNoFields:
      return "No fields were provided";
    case SyntaxError::kTrailingContent:
      return fmt::format("Could not parse entire line. Found trailing content: `{}`",
                         Shorten(fault.context));
    case SyntaxError::kEndsWithBackslash:
      return "Measurements, tag keys and values, and field keys may not end with a backslash";
    case SyntaxError::kIntegerOutOfRange:
      return "Unable to parse integer value " + Quote(fault.context);
    case SyntaxError::kUnsignedOutOfRange:
      return "Unable to parse unsigned integer value " + Quote(fault.context);
    case SyntaxError::kFloatOutOfRange:
      return "Unable to parse floating-point value " + Quote(fault.context);
    case SyntaxError::kTimestampOutOfRange:
      return "Unable to parse timestamp value " + Quote(fault.context);
  }
  return "";
}

}  // namespace sluice::lineprotocol
