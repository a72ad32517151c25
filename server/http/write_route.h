#ifndef SLUICE_SERVER_HTTP_WRITE_ROUTE_H_
#define SLUICE_SERVER_HTTP_WRITE_ROUTE_H_

#include <cstddef>

#include "server/http/router.h"
#include "server/ingest/pipeline.h"
#include "storage/store.h"

namespace sluice::http {

// Adds InfluxDB's write routes, /write, /api/v2/write and /api/v3/write_lp (contract sections 1 to
// 3). `max_body_bytes` is the limit for a body once decompressed. All references must outlive the
// router.
void AddWriteRoutes(Router& router, const ingest::Pipeline& pipeline, const storage::Store& store,
                    server::Workers& workers, size_t max_body_bytes);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_WRITE_ROUTE_H_
