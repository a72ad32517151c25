#ifndef SLUICE_SERVER_HTTP_WRITE_ROUTE_H_
#define SLUICE_SERVER_HTTP_WRITE_ROUTE_H_

#include <cstddef>

#include "server/auth/authority.h"
#include "server/http/router.h"
#include "server/ingest/pipeline.h"
#include "server/memory_budget.h"
#include "server/observability/metrics.h"
#include "server/readiness.h"

namespace sluice::http {

// What the write routes are made of; all must outlive the router.
struct WriteParts {
  const ingest::Pipeline& pipeline;
  const auth::Authority& authority;
  const server::Readiness& readiness;
  server::MemoryBudget& budget;
  observability::Metrics& metrics;
  server::Workers& workers;
};

// Adds InfluxDB's write routes, /write, /api/v2/write and /api/v3/write_lp (contract sections 1 to
// 3). The last one takes `dry_run=true` besides: everything is judged and told as a write would,
// and nothing is stored. `max_body_bytes` is the limit for a body once decompressed.
void AddWriteRoutes(Router& router, const WriteParts& parts, size_t max_body_bytes);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_WRITE_ROUTE_H_
