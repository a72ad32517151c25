#ifndef SLUICE_SERVER_QUERY_FUNCTIONS_H_
#define SLUICE_SERVER_QUERY_FUNCTIONS_H_

#include <functional>

struct sqlite3;

namespace sluice::query {

using ShouldStop = std::function<bool()>;

// Replaces functions of SQLite's whose cost is not that of reading their arguments, for SQLite
// looks at the clock between function calls only: instr(), replace(), and trim(), ltrim() and
// rtrim() with two arguments, of which the second may have 1,000 bytes, take no longer than that;
// LIKE and GLOB can be stopped; printf() and format() refuse widths and precisions that come to
// more than a value may have. `should_stop` must outlive the connection. An SQLite result code.
int RegisterFunctions(sqlite3* connection, const ShouldStop& should_stop);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_FUNCTIONS_H_
