#include "server/lineprotocol/number.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <system_error>

namespace sluice::lineprotocol {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Just past the digits that begin at `i`.
size_t SkipDigits(std::string_view text, size_t i) {
  while (i < text.size() && IsDigit(text[i])) ++i;
  return i;
}

// Just past ['-'] digit+, or 0.
size_t SkipInteger(std::string_view text) {
  size_t sign = text.starts_with('-') ? 1 : 0;
  size_t end = SkipDigits(text, sign);
  return end == sign ? 0 : end;
}

// Just past a fraction at `i`, or `i`.
size_t SkipFraction(std::string_view text, size_t i) {
  if (i >= text.size() || text[i] != '.') return i;
  size_t end = SkipDigits(text, i + 1);
  return end == i + 1 ? i : end;
}

// Just past an exponent at `i`, or `i`.
size_t SkipExponent(std::string_view text, size_t i) {
  if (i >= text.size() || (text[i] != 'e' && text[i] != 'E')) return i;
  size_t digits = i + 1;
  if (digits < text.size() && (text[digits] == '+' || text[digits] == '-')) ++digits;
  size_t end = SkipDigits(text, digits);
  return end == digits ? i : end;
}

template <typename T>
bool Parse(std::string_view text, T& value) {
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

// False where the number overflows to infinity (contract W-51); one too small for a double becomes
// the nearest there is.
bool ParseFloat(std::string_view text, double& value) {
  if (Parse(text, value)) return true;
  // from_chars does not tell overflow from underflow.
  value = std::strtod(std::string(text).c_str(), nullptr);
  return std::isfinite(value);
}

size_t ReadBoolean(std::string_view text, Field& field) {
  for (std::string_view word :
       {"true", "True", "TRUE", "t", "T", "false", "False", "FALSE", "f", "F"}) {
    if (!text.starts_with(word)) continue;
    field.type = FieldType::kBoolean;
    field.bits = word[0] == 't' || word[0] == 'T' ? 1 : 0;
    return word.size();
  }
  return 0;
}

size_t Finish(bool parsed, SyntaxError error, std::string_view digits, size_t size,
              std::optional<SyntaxFault>& fault) {
  if (!parsed) fault = SyntaxFault{error, digits};
  return size;
}

}  // namespace

size_t ReadScalar(std::string_view text, Field& field, std::optional<SyntaxFault>& fault) {
  size_t integer = SkipInteger(text);
  if (integer == 0) return ReadBoolean(text, field);
  char suffix = integer < text.size() ? text[integer] : '\0';
  std::string_view digits = text.substr(0, integer);
  if (suffix == 'i') {
    field.type = FieldType::kInteger;
    return Finish(Parse(digits, field.bits), SyntaxError::kIntegerOutOfRange, digits, integer + 1,
                  fault);
  }
  if (suffix == 'u' && digits[0] != '-') {
    field.type = FieldType::kUnsigned;
    uint64_t value = 0;
    bool parsed = Parse(digits, value);
    field.bits = static_cast<int64_t>(value);
    return Finish(parsed, SyntaxError::kUnsignedOutOfRange, digits, integer + 1, fault);
  }
  field.type = FieldType::kFloat;
  size_t size = SkipExponent(text, SkipFraction(text, integer));
  double value = 0;
  bool parsed = ParseFloat(text.substr(0, size), value);
  field.bits = std::bit_cast<int64_t>(value);
  return Finish(parsed, SyntaxError::kFloatOutOfRange, text.substr(0, size), size, fault);
}

size_t ReadTimestamp(std::string_view text, int64_t& timestamp, std::optional<SyntaxFault>& fault) {
  size_t size = SkipInteger(text);
  if (size == 0) return 0;
  std::string_view digits = text.substr(0, size);
  return Finish(Parse(digits, timestamp), SyntaxError::kTimestampOutOfRange, digits, size, fault);
}

}  // namespace sluice::lineprotocol
