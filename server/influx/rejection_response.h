#ifndef SLUICE_SERVER_INFLUX_REJECTION_RESPONSE_H_
#define SLUICE_SERVER_INFLUX_REJECTION_RESPONSE_H_

#include <string_view>

#include "absl/status/status.h"
#include "server/http/message.h"
#include "server/ingest/outcome.h"

namespace sluice::influx {

// 400 for a request of which lines were rejected, as /write and /api/v2/write say it (contract W-20
// to W-23).
http::Response Rejection(const ingest::Outcome& outcome);

// The same as /api/v3/write_lp says it (W-24).
http::Response RejectionV3(const ingest::Outcome& outcome, bool accept_partial);

// 400 for a dry run, in the same form.
http::Response DryRunRejection(const ingest::Outcome& outcome);

// 404 as /write says it (W-6, W-25), where `status` is that of the missing database.
http::Response NoDatabaseV1(const absl::Status& status, std::string_view database);

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_REJECTION_RESPONSE_H_
