#ifndef SLUICE_SERVER_INFLUX_WRITE_ROUTE_H_
#define SLUICE_SERVER_INFLUX_WRITE_ROUTE_H_

#include <cstddef>

#include "server/gate/parts.h"
#include "server/http/router.h"

namespace sluice::influx {

// Adds InfluxDB's write routes, /write, /api/v2/write and /api/v3/write_lp (contract sections 1 to
// 3). The last one takes `dry_run=true` besides: everything is judged and told as a write would,
// and nothing is stored. `max_body_bytes` is the limit for a body once decompressed. `parts` must
// outlive the router.
void AddWriteRoutes(http::Router& router, const server::Parts& parts, size_t max_body_bytes);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_WRITE_ROUTE_H_
