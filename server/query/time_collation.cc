#include "server/query/time_collation.h"

#include <sqlite3.h>

#include <optional>

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
  std::optional<int64_t> a_ns = storage::ParseTimestamp(a);
  std::optional<int64_t> b_ns = storage::ParseTimestamp(b);
  if (a_ns && b_ns) return *a_ns < *b_ns ? -1 : *a_ns > *b_ns ? 1 : 0;
  if (a_ns || b_ns) return a_ns ? -1 : 1;
  return a.compare(b);
}

int RegisterTimeCollation(sqlite3* connection) {
  return sqlite3_create_collation_v2(connection, kTimeCollation, SQLITE_UTF8, nullptr, Collate,
                                     nullptr);
}

}  // namespace sluice::query
