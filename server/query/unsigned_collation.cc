#include "server/query/unsigned_collation.h"

#include <sqlite3.h>

#include <charconv>
#include <cstddef>
#include <limits>

namespace sluice::query {
namespace {

int Collate(void*, int a_size, const void* a, int b_size, const void* b) {
  const std::string_view a_text(static_cast<const char*>(a), static_cast<size_t>(a_size));
  const std::string_view b_text(static_cast<const char*>(b), static_cast<size_t>(b_size));
  const std::optional<uint64_t> a_number = ParseLargeUnsigned(a_text);
  const std::optional<uint64_t> b_number = ParseLargeUnsigned(b_text);
  if (a_number && b_number) return *a_number < *b_number ? -1 : *a_number > *b_number ? 1 : 0;
  return a_text.compare(b_text);
}

}  // namespace

std::optional<uint64_t> ParseLargeUnsigned(std::string_view text) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  if (number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return number;
}

int RegisterUnsignedCollation(sqlite3* connection) {
  return sqlite3_create_collation_v2(connection, kUnsignedCollation, SQLITE_UTF8, nullptr, Collate,
                                     nullptr);
}

}  // namespace sluice::query
