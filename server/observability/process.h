#ifndef SLUICE_SERVER_OBSERVABILITY_PROCESS_H_
#define SLUICE_SERVER_OBSERVABILITY_PROCESS_H_

#include "server/observability/metrics.h"

namespace sluice::observability {

// Adds what Prometheus' client libraries tell of a process: CPU, memory, descriptors, start.
void AddProcess(Metrics& metrics);

}  // namespace sluice::observability

#endif  // SLUICE_SERVER_OBSERVABILITY_PROCESS_H_
