#ifndef SLUICE_SERVER_INFLUX_QUERY_ROUTE_H_
#define SLUICE_SERVER_INFLUX_QUERY_ROUTE_H_

#include <chrono>

#include "server/gate/parts.h"
#include "server/http/router.h"

namespace sluice::influx {

// Adds GET and POST /api/v3/query_sql: the parameters `db`, `q` and `format` (result_format.h) in
// the query or, with POST, as the strings of a JSON object. Who asks needs the right to read the
// database. `parts` must outlive the router.
void AddQueryRoutes(http::Router& router, const server::Parts& parts,
                    std::chrono::milliseconds timeout);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_QUERY_ROUTE_H_
