#ifndef SLUICE_SERVER_HTTP_QUERY_ROUTE_H_
#define SLUICE_SERVER_HTTP_QUERY_ROUTE_H_

#include <chrono>

#include "server/http/router.h"
#include "storage/store.h"

namespace sluice::http {

// Adds GET and POST /api/v3/query_sql: the parameters `db`, `q` and `format` (result_format.h) in
// the query or, with POST, as the strings of a JSON object. `store` and `workers` must
// outlive the router.
void AddQueryRoutes(Router& router, const storage::Store& store, server::Workers& workers,
                    std::chrono::milliseconds timeout);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_QUERY_ROUTE_H_
