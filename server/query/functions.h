#ifndef SLUICE_SERVER_QUERY_FUNCTIONS_H_
#define SLUICE_SERVER_QUERY_FUNCTIONS_H_

struct sqlite3;

namespace sluice::query {

// Replaces functions of SQLite's that take the product of their arguments' lengths by ones that
// take their sum: instr(), replace(), and trim(), ltrim() and rtrim() with two arguments, of which
// the second may have 1,000 bytes. For SQLite looks at the clock between function calls only. An
// SQLite result code.
int RegisterFunctions(sqlite3* connection);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_FUNCTIONS_H_
