#ifndef SLUICE_SERVER_HTTP_QUERY_ROUTE_H_
#define SLUICE_SERVER_HTTP_QUERY_ROUTE_H_

#include <chrono>

#include "server/auth/authority.h"
#include "server/http/router.h"
#include "server/ingest/rejection_log.h"
#include "storage/store.h"

namespace sluice::http {

// What the query routes are made of; all must outlive the router.
struct QueryParts {
  const storage::Store& store;
  const ingest::RejectionLog& rejections;
  const auth::Authority& authority;
  server::Workers& workers;
};

// Adds GET and POST /api/v3/query_sql: the parameters `db`, `q` and `format` (result_format.h) in
// the query or, with POST, as the strings of a JSON object. Who asks needs the right to read the
// database.
void AddQueryRoutes(Router& router, const QueryParts& parts, std::chrono::milliseconds timeout);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_QUERY_ROUTE_H_
