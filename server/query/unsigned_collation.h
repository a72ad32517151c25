#ifndef SLUICE_SERVER_QUERY_UNSIGNED_COLLATION_H_
#define SLUICE_SERVER_QUERY_UNSIGNED_COLLATION_H_

#include <cstdint>
#include <optional>
#include <string_view>

struct sqlite3;

namespace sluice::query {

// The collation of unsigned columns. SQLite's integers are signed; what they cannot hold travels as
// text, which SQLite sorts after all numbers, and this by value.
inline constexpr char kUnsignedCollation[] = "unsigned";

// The number that such a text is; nothing for any other text.
std::optional<uint64_t> ParseLargeUnsigned(std::string_view text);

// Makes the collation known to a connection. An SQLite result code.
int RegisterUnsignedCollation(sqlite3* connection);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_UNSIGNED_COLLATION_H_
