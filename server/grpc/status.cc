#include "server/grpc/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/ingest/bad_field.h"
#include "server/ingest/utf8.h"
#include "storage/reason.h"

namespace sluice::grpc_door {
namespace {

constexpr char kDomain[] = "sluice";
constexpr size_t kMaxViolations = 20;
constexpr size_t kMaxMessageBytes = 512;
constexpr size_t kMaxDescriptionBytes = 256;
// Leaves room for the message and the other details.
constexpr size_t kMaxBadRequestBytes = 3072;

std::string Cut(std::string_view text, size_t max_bytes) {
  return std::string(ingest::CutUtf8(text, max_bytes));
}

class Details {
 public:
  Details(grpc::StatusCode code, std::string_view message, google::rpc::ErrorInfo info)
      : code_(code) {
    status_.set_code(code);
    status_.set_message(Cut(ingest::Disarm(std::string(message)), kMaxMessageBytes));
    info.set_domain(kDomain);
    Add(info);
  }
  void Add(const google::protobuf::Message& detail) { status_.add_details()->PackFrom(detail); }
  grpc::Status Finish() const {
    return grpc::Status(code_, status_.message(), status_.SerializeAsString());
  }

 private:
  const grpc::StatusCode code_;
  google::rpc::Status status_;
};

// The numbers of the codes are the same in Abseil and gRPC, by the design of both. Damaged data is
// a fault of ours (W-8).
grpc::StatusCode CodeOf(const absl::Status& status) {
  if (absl::IsDataLoss(status)) return grpc::StatusCode::INTERNAL;
  return static_cast<grpc::StatusCode>(status.raw_code());
}

Details DetailsOf(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  if (const std::optional<storage::Reason> reason = storage::ReasonOf(status)) {
    info.set_reason(reason->name);
    for (const auto& [key, value] : reason->metadata) {
      (*info.mutable_metadata())[key] = Cut(value, kMaxDescriptionBytes);
    }
  } else {
    info.set_reason(absl::StatusCodeToString(static_cast<absl::StatusCode>(CodeOf(status))));
  }
  Details details(CodeOf(status), std::string(status.message()), info);
  if (absl::IsUnavailable(status)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetryDelayMs / 1000);
    details.Add(retry);
  }
  return details;
}

void AddViolation(google::rpc::BadRequest& bad_request, std::string_view field,
                  std::string_view description, size_t max_bytes = kMaxDescriptionBytes) {
  auto* violation = bad_request.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(Cut(description, max_bytes));
}

// The first ones, all of them cut shorter where they would take too much.
google::rpc::BadRequest Describe(const std::vector<ingest::Rejection>& rejections,
                                 std::string_view field) {
  google::rpc::BadRequest bad_request;
  size_t count = std::min(rejections.size(), kMaxViolations);
  size_t max_bytes = kMaxDescriptionBytes;
  do {
    bad_request.Clear();
    for (size_t i = 0; i < count; ++i) {
      const ingest::Place& place = rejections[i].place;
      AddViolation(bad_request,
                   place.line ? fmt::format("{}:{}", field, place.line->number)
                              : fmt::format("{}[{}]", field, place.index),
                   rejections[i].message, max_bytes);
    }
    max_bytes /= 2;
  } while (bad_request.ByteSizeLong() > kMaxBadRequestBytes);
  return bad_request;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status, std::string_view field) {
  if (status.ok()) return grpc::Status::OK;
  Details details = DetailsOf(status);
  if (absl::IsInvalidArgument(status)) {
    google::rpc::BadRequest bad_request;
    const std::string path = ingest::FieldOf(status);
    AddViolation(bad_request, path.empty() ? field : path, std::string(status.message()));
    details.Add(bad_request);
  }
  return details.Finish();
}

grpc::Status ToGrpc(const absl::Status& status, std::string_view resource_type,
                    std::string_view resource_name) {
  if (!absl::IsNotFound(status) && !absl::IsAlreadyExists(status)) {
    return ToGrpc(status, resource_type);
  }
  Details details = DetailsOf(status);
  google::rpc::ResourceInfo info;
  info.set_resource_type(std::string(resource_type));
  info.set_resource_name(Cut(resource_name, kMaxDescriptionBytes));
  info.set_description(Cut(std::string(status.message()), kMaxDescriptionBytes));
  details.Add(info);
  return details.Finish();
}

grpc::Status RejectionStatus(const ingest::Outcome& outcome, std::string_view field) {
  const ingest::Rejection& first = outcome.rejections.front();
  google::rpc::ErrorInfo info;
  info.set_reason("LINES_REJECTED");
  (*info.mutable_metadata())["ingested_points"] = std::to_string(outcome.ingested);
  (*info.mutable_metadata())["rejected_points"] = std::to_string(outcome.rejected);
  const ingest::Place& place = first.place;
  Details details(grpc::StatusCode::INVALID_ARGUMENT,
                  fmt::format("{} points ingested, {} rejected; the first is {} {}: {}",
                              outcome.ingested, outcome.rejected, place.line ? "line" : "point",
                              place.line ? place.line->number : place.index, first.message),
                  info);
  details.Add(Describe(outcome.rejections, field));
  return details.Finish();
}

v1::RejectionReason ToProto(ingest::Reason reason) {
  switch (reason) {
    case ingest::Reason::kSyntax:
      return v1::REJECTION_REASON_SYNTAX;
    case ingest::Reason::kNumberOutOfRange:
      return v1::REJECTION_REASON_NUMBER_OUT_OF_RANGE;
    case ingest::Reason::kTimestampOutOfRange:
      return v1::REJECTION_REASON_TIMESTAMP_OUT_OF_RANGE;
    case ingest::Reason::kValueTooLong:
      return v1::REJECTION_REASON_VALUE_TOO_LONG;
    case ingest::Reason::kTypeConflict:
      return v1::REJECTION_REASON_TYPE_CONFLICT;
    case ingest::Reason::kDuplicateTag:
      return v1::REJECTION_REASON_DUPLICATE_TAG;
    case ingest::Reason::kDuplicateField:
      return v1::REJECTION_REASON_DUPLICATE_FIELD;
    case ingest::Reason::kReservedName:
      return v1::REJECTION_REASON_RESERVED_NAME;
    case ingest::Reason::kNoFields:
      return v1::REJECTION_REASON_NO_FIELDS;
    case ingest::Reason::kTableLimit:
      return v1::REJECTION_REASON_TABLE_LIMIT;
    case ingest::Reason::kColumnLimit:
      return v1::REJECTION_REASON_COLUMN_LIMIT;
    case ingest::Reason::kBeyondRetention:
      return v1::REJECTION_REASON_BEYOND_RETENTION;
    case ingest::Reason::kDayLimit:
      return v1::REJECTION_REASON_DAY_LIMIT;
    case ingest::Reason::kNotUtf8:
      return v1::REJECTION_REASON_NOT_UTF8;
    case ingest::Reason::kEmptyName:
      return v1::REJECTION_REASON_EMPTY_NAME;
  }
  return v1::REJECTION_REASON_UNSPECIFIED;
}

v1::PointError ToProto(const ingest::Rejection& rejection) {
  v1::PointError error;
  error.set_index(rejection.place.index);
  if (const auto& line = rejection.place.line) {
    v1::LinePosition& to = *error.mutable_line();
    to.set_number(line->number);
    to.set_byte_begin(static_cast<int64_t>(line->begin));
    to.set_byte_end(static_cast<int64_t>(line->end));
  }
  error.set_reason(ToProto(rejection.reason));
  error.set_message(rejection.message);
  error.set_table(rejection.table);
  error.set_column(rejection.column);
  error.set_excerpt(rejection.excerpt);
  return error;
}

}  // namespace sluice::grpc_door
