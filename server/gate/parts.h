#ifndef SLUICE_SERVER_GATE_PARTS_H_
#define SLUICE_SERVER_GATE_PARTS_H_

#include "server/auth/authority.h"
#include "server/backup/backups.h"
#include "server/gate/gate.h"
#include "server/gate/readiness.h"
#include "server/ingest/pipeline.h"
#include "server/ingest/rejection_log.h"
#include "server/observability/metrics.h"
#include "server/observability/requests.h"
#include "server/query/governor.h"
#include "server/resources/memory_budget.h"
#include "server/resources/workers.h"
#include "server/tls/certificates.h"
#include "storage/store.h"

namespace sluice::server {

// What both doors are made of. Each is safe for use by many threads, and must outlive the doors.
struct Parts {
  storage::Store& store;
  const ingest::Pipeline& pipeline;
  const ingest::RejectionLog& rejections;
  auth::Authority& authority;
  const Gate& gate;
  const Readiness& readiness;
  // Of the bodies of writes under way, as sent and decompressed; of what is made of them.
  MemoryBudget& bodies;
  MemoryBudget& judging;
  // Of answers that are made and that their clients have not read yet.
  MemoryBudget& answers;
  query::Governor& governor;
  observability::Metrics& metrics;
  observability::Requests& requests;
  Backups& backups;
  // Apart, so that slow queries never keep writes, or the management of databases, waiting.
  Workers& write_workers;
  Workers& query_workers;
  // Null where the doors speak no TLS.
  const tls::Certificates* certificates = nullptr;
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_GATE_PARTS_H_
