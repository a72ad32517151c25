#ifndef SLUICE_SERVER_QUERY_SQLITE_STATEMENT_H_
#define SLUICE_SERVER_QUERY_SQLITE_STATEMENT_H_

#include <sqlite3.h>

#include <memory>

namespace sluice::query {

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

// A prepared statement; its connection must outlive it.
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_SQLITE_STATEMENT_H_
