#include "server/query/time_collation.h"

#include <sqlite3.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "storage/timestamp.h"

namespace sluice::query {
namespace {

// FormatTimestamp's: 2026-01-31T07:08:09.000000001Z.
constexpr size_t kFormattedBytes = 30;

bool LooksFormatted(std::string_view text) {
  return text.size() == kFormattedBytes && text[4] == '-' && text[10] == 'T' && text[19] == '.' &&
         text.back() == 'Z';
}

int Collate(void*, int a_size, const void* a, int b_size, const void* b) {
  return CompareTimes({static_cast<const char*>(a), static_cast<size_t>(a_size)},
                      {static_cast<const char*>(b), static_cast<size_t>(b_size)});
}

}  // namespace

int CompareTimes(std::string_view a, std::string_view b) {
  if (LooksFormatted(a) && LooksFormatted(b)) return a.compare(b);
  std::optional<int64_t> a_ns = ParseTime(a);
  std::optional<int64_t> b_ns = ParseTime(b);
  if (a_ns && b_ns) return *a_ns < *b_ns ? -1 : *a_ns > *b_ns ? 1 : 0;
  if (a_ns || b_ns) return a_ns ? -1 : 1;
  return a.compare(b);
}

std::optional<int64_t> ParseTime(std::string_view text) {
  if (std::optional<int64_t> time_ns = storage::ParseTimestamp(text)) return time_ns;
  // Not "inf", and not "nan".
  if (text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return FloorToTime(number);
}

int64_t FloorToTime(double time_ns) {
  // The first float beyond.
  constexpr double kEnd = 9223372036854775808.0;
  if (time_ns >= kEnd) return std::numeric_limits<int64_t>::max();
  if (time_ns < -kEnd) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(std::floor(time_ns));
}

int RegisterTimeCollation(sqlite3* connection) {
  return sqlite3_create_collation_v2(connection, kTimeCollation, SQLITE_UTF8, nullptr, Collate,
                                     nullptr);
}

}  // namespace sluice::query
