#include "storage/timestamp.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <limits>

namespace sluice::storage {
namespace {

namespace chrono = std::chrono;

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kNsPerDay = 86400 * kNsPerSecond;

// Reads a text from left to right; the first thing that is missing makes it fail for good.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  bool At(char c) const { return !rest_.empty() && rest_[0] == c; }

  bool Take(char c) {
    if (!At(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void Expect(char c) { ok_ = Take(c) && ok_; }

  // A number of exactly `digits` digits, from `min` to `max`.
  int Number(size_t digits, int min, int max) {
    int value = 0;
    size_t i = 0;
    for (; i < digits && i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9'; ++i) {
      value = value * 10 + (rest_[i] - '0');
    }
    ok_ = ok_ && i == digits && value >= min && value <= max;
    rest_.remove_prefix(i);
    return value;
  }

  // The digits after a point, as nanoseconds; beyond the ninth they are cut.
  int64_t Fraction() {
    int64_t nanoseconds = 0;
    int64_t unit = kNsPerSecond / 10;
    size_t i = 0;
    for (; i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9'; ++i, unit /= 10) {
      nanoseconds += (rest_[i] - '0') * unit;
    }
    ok_ = ok_ && i > 0;
    rest_.remove_prefix(i);
    return nanoseconds;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc()) return value;
  return text[0] == '-' ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

// Seconds to add for an offset at the end of a time.
int64_t ReadOffset(Reader& reader) {
  if (reader.empty() || reader.Take('Z') || reader.Take('z')) return 0;
  bool east = reader.At('+');
  if (!reader.Take('+')) reader.Expect('-');
  int64_t seconds = reader.Number(2, 0, 23) * 3600;
  reader.Expect(':');
  seconds += reader.Number(2, 0, 59) * 60;
  return east ? -seconds : seconds;
}

int64_t ToNanoseconds(int64_t seconds, int64_t fraction_ns) {
  int64_t time_ns = 0;
  // With a negative count of seconds the product alone may overflow where the sum would not.
  if (seconds < 0) ++seconds, fraction_ns -= kNsPerSecond;
  if (!__builtin_mul_overflow(seconds, kNsPerSecond, &time_ns) &&
      !__builtin_add_overflow(time_ns, fraction_ns, &time_ns)) {
    return time_ns;
  }
  return seconds < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

// Overwrites the zeros up to and with `last` by the digits of `number`. Queries format a time for
// each row.
void PutDigits(std::string& text, size_t last, int64_t number) {
  for (; number > 0; number /= 10) text[last--] = static_cast<char>('0' + number % 10);
}

}  // namespace

int64_t NowNs() {
  return chrono::nanoseconds(chrono::system_clock::now().time_since_epoch()).count();
}

std::string FormatTimestamp(int64_t time_ns) {
  int64_t days = time_ns / kNsPerDay - (time_ns % kNsPerDay < 0 ? 1 : 0);
  int64_t rest = time_ns % kNsPerDay + (time_ns % kNsPerDay < 0 ? kNsPerDay : 0);
  chrono::year_month_day date{chrono::sys_days(chrono::days(days))};
  chrono::hh_mm_ss clock{chrono::nanoseconds(rest)};
  std::string text = "0000-00-00T00:00:00.000000000Z";
  PutDigits(text, 3, static_cast<int>(date.year()));
  PutDigits(text, 6, static_cast<unsigned>(date.month()));
  PutDigits(text, 9, static_cast<unsigned>(date.day()));
  PutDigits(text, 12, clock.hours().count());
  PutDigits(text, 15, clock.minutes().count());
  PutDigits(text, 18, clock.seconds().count());
  PutDigits(text, 28, clock.subseconds().count());
  return text;
}

std::optional<int64_t> ParseTimestamp(std::string_view text) {
  if (std::optional<int64_t> number = ParseNumber(text)) return number;
  Reader reader(text);
  chrono::year year(reader.Number(4, 0, 9999));
  reader.Expect('-');
  chrono::month month(static_cast<unsigned>(reader.Number(2, 1, 12)));
  reader.Expect('-');
  chrono::day day(static_cast<unsigned>(reader.Number(2, 1, 31)));
  chrono::year_month_day date(year, month, day);
  int64_t seconds = 0;
  int64_t fraction_ns = 0;
  if (!reader.empty()) {
    if (!reader.Take('T') && !reader.Take('t')) reader.Expect(' ');
    seconds = reader.Number(2, 0, 23) * 3600;
    reader.Expect(':');
    seconds += reader.Number(2, 0, 59) * 60;
    if (reader.Take(':')) seconds += reader.Number(2, 0, 60);
    if (reader.Take('.')) fraction_ns = reader.Fraction();
    seconds += ReadOffset(reader);
  }
  if (!reader.ok() || !reader.empty() || !date.ok()) return std::nullopt;
  int64_t days = chrono::sys_days(date).time_since_epoch().count();
  return ToNanoseconds(days * 86400 + seconds, fraction_ns);
}

}  // namespace sluice::storage
