#include "server/lineprotocol/number.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <system_error>

#include "server/lineprotocol/digits.h"

namespace sluice::lineprotocol {
namespace {

constexpr uint64_t kMaxTimestamp = std::numeric_limits<int64_t>::max();

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

// A number of few digits and decimals: with both exact in a double, so is their quotient's rounding
// (W. D. Clinger, "How to read floating point numbers accurately", 1990). 0 where it is not one.
size_t ReadShortFloat(std::string_view text, Field& field) {
  constexpr double kPowersOfTen[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  constexpr size_t kMaxExactDigits = 15;
  if (text.size() < 2 * kDigitsRoom + 2) return 0;
  const size_t sign = text[0] == '-' ? 1 : 0;
  const Digits whole = ReadDigits(text.data() + sign);
  size_t size = sign + whole.count;
  if (whole.count == 0 || whole.count > kMaxExactDigits) return 0;
  Digits fraction;
  if (text[size] == '.') {
    fraction = ReadDigits(text.data() + size + 1);
    if (fraction.count == 0 || whole.count + fraction.count > kMaxExactDigits) return 0;
    size += 1 + fraction.count;
  }
  const char after = text[size];
  if (after == 'e' || after == 'E' || after == 'i' || after == 'u' || after == '.') return 0;
  const double power = kPowersOfTen[fraction.count];
  const double digits =
      static_cast<double>(whole.value) * power + static_cast<double>(fraction.value);
  const double value = digits / power;
  field.type = FieldType::kFloat;
  field.bits = std::bit_cast<int64_t>(sign != 0 ? -value : value);
  return size;
}

}  // namespace

size_t ReadScalar(std::string_view text, Field& field, std::optional<SyntaxFault>& fault) {
  if (size_t size = ReadShortFloat(text, field)) return size;
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
  if (text.size() >= kDigitsRoom) {
    const Digits digits = ReadDigits(text.data());
    // Nineteen digits fit if they are not too large.
    if (digits.count > 0 && digits.count <= kMaxDigits && digits.value <= kMaxTimestamp) {
      timestamp = static_cast<int64_t>(digits.value);
      return digits.count;
    }
  }
  size_t size = SkipInteger(text);
  if (size == 0) return 0;
  std::string_view digits = text.substr(0, size);
  return Finish(Parse(digits, timestamp), SyntaxError::kTimestampOutOfRange, digits, size, fault);
}

}  // namespace sluice::lineprotocol
