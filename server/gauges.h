#ifndef SLUICE_SERVER_GAUGES_H_
#define SLUICE_SERVER_GAUGES_H_

#include <string>

#include "server/gate/parts.h"

namespace sluice::server {

// Adds to the metrics what is read at each scrape: of the process, the store, the budgets, the
// queries. `parts` must outlive the metrics.
void AddGauges(const Parts& parts, const std::string& version);

}  // namespace sluice::server

#endif  // SLUICE_SERVER_GAUGES_H_
