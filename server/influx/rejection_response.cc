#include "server/influx/rejection_response.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "server/influx/error_response.h"

namespace sluice::influx {

using http::Response;
namespace {

using Json = nlohmann::ordered_json;

std::string MessageOf(const ingest::Outcome& outcome) {
  std::string message = outcome.ingested > 0 ? "partial write has occurred" : "no data written";
  message += ", errors encountered on line(s):";
  for (const ingest::Rejection& rejection : outcome.rejections) {
    message += fmt::format("\nerror {} line {} (1-based): {}",
                           rejection.unreadable ? "parsing" : "writing", rejection.place.number(),
                           rejection.message);
  }
  int64_t more = outcome.rejected - static_cast<int64_t>(outcome.rejections.size());
  if (more > 0) message += fmt::format("\n(and {} more)", more);
  return message;
}

Json DataOf(const ingest::Outcome& outcome) {
  Json data = Json::array();
  for (const ingest::Rejection& rejection : outcome.rejections) {
    data.push_back({{"error_message", rejection.message},
                    {"line_number", rejection.place.number()},
                    {"original_line", rejection.excerpt}});
  }
  return data;
}

}  // namespace

Response Rejection(const ingest::Outcome& outcome) {
  std::string message = MessageOf(outcome);
  Json body = {{"code", "invalid"},
               {"line", outcome.rejections.front().place.number()},
               {"message", message},
               {"error", message},
               {"data", DataOf(outcome)}};
  return ErrorResponse(400, message, body);
}

Response RejectionV3(const ingest::Outcome& outcome, bool accept_partial) {
  std::string error =
      accept_partial ? "partial write of line protocol occurred" : "line protocol parsing error";
  Json body = {{"error", error}, {"data", DataOf(outcome)}};
  // `data` ends at the hundredth.
  if (outcome.rejected > static_cast<int64_t>(outcome.rejections.size())) {
    body["rejected_lines"] = outcome.rejected;
  }
  return ErrorResponse(400, error, body);
}

Response DryRunRejection(const ingest::Outcome& outcome) {
  std::string error =
      fmt::format("dry run, nothing was written: {} points would be ingested, {} lines rejected",
                  outcome.ingested, outcome.rejected);
  return ErrorResponse(400, error, {{"error", error}, {"data", DataOf(outcome)}});
}

Response NoDatabaseV1(const absl::Status& status, std::string_view database) {
  std::string message(status.message());
  return ErrorResponse(404, message,
                       {{"code", "not found"},
                        {"message", message},
                        {"error", fmt::format("database not found: \"{}\"", database)}});
}

}  // namespace sluice::influx
