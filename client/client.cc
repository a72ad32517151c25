#include "client/client.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/query.grpc.pb.h"
#include "sluice/v1/write.grpc.pb.h"

namespace sluice::client {
namespace {

constexpr char kDetailsUrl[] = "google.rpc.Status";
constexpr int64_t kNsPerSecond = 1'000'000'000;

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  result.SetPayload(kDetailsUrl, absl::Cord(status.error_details()));
  return result;
}

v1::Precision ToProto(Precision precision) {
  switch (precision) {
    case Precision::kNanosecond:
      return v1::PRECISION_NANOSECOND;
    case Precision::kMicrosecond:
      return v1::PRECISION_MICROSECOND;
    case Precision::kMillisecond:
      return v1::PRECISION_MILLISECOND;
    case Precision::kSecond:
      return v1::PRECISION_SECOND;
    case Precision::kAuto:
      return v1::PRECISION_AUTO;
  }
  return v1::PRECISION_UNSPECIFIED;
}

LineError FromProto(const v1::LineError& error) {
  return {.line_number = error.line_number(),
          .byte_begin = error.byte_begin(),
          .byte_end = error.byte_end(),
          .reason = std::string(
              absl::StripPrefix(v1::RejectionReason_Name(error.reason()), "REJECTION_REASON_")),
          .message = error.message(),
          .table = error.table(),
          .column = error.column(),
          .excerpt = error.excerpt()};
}

Value FromProto(const v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kStringValue:
      return value.string_value();
    case v1::Value::kIntegerValue:
      return value.integer_value();
    case v1::Value::kUnsignedValue:
      return value.unsigned_value();
    case v1::Value::kFloatValue:
      return value.float_value();
    case v1::Value::kBooleanValue:
      return value.boolean_value();
    case v1::Value::kBytesValue:
      return Bytes{value.bytes_value()};
    case v1::Value::KIND_NOT_SET:
      return std::monostate();
  }
  return std::monostate();
}

Database FromProto(const v1::Database& database) {
  Database result;
  result.name = database.name();
  result.create_time = absl::FromUnixSeconds(database.create_time().seconds()) +
                       absl::Nanoseconds(database.create_time().nanos());
  if (database.has_retention_period()) {
    result.retention_period = absl::Seconds(database.retention_period().seconds()) +
                              absl::Nanoseconds(database.retention_period().nanos());
  }
  return result;
}

template <typename Request>
void SetRetentionOf(std::optional<absl::Duration> retention, Request& request) {
  if (!retention) return;
  int64_t ns = absl::ToInt64Nanoseconds(*retention);
  request.mutable_retention_period()->set_seconds(ns / kNsPerSecond);
  request.mutable_retention_period()->set_nanos(static_cast<int32_t>(ns % kNsPerSecond));
}

class GrpcClient : public Client {
 public:
  GrpcClient(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout)
      : timeout_(timeout),
        write_(v1::WriteService::NewStub(channel)),
        query_(v1::QueryService::NewStub(channel)),
        admin_(v1::AdminService::NewStub(channel)) {}

  absl::StatusOr<WriteResult> Write(const std::string& database, std::string line_protocol,
                                    const WriteOptions& options) override;
  absl::Status Query(const std::string& database, const std::string& sql,
                     const ResultReader& reader) override;
  absl::StatusOr<Database> CreateDatabase(const std::string& name,
                                          std::optional<absl::Duration> retention) override;
  absl::StatusOr<std::vector<Database>> ListDatabases() override;
  absl::StatusOr<Database> GetDatabase(const std::string& name) override;
  absl::StatusOr<Database> SetRetention(const std::string& name,
                                        std::optional<absl::Duration> retention) override;
  absl::Status DropDatabase(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> ListTables(const std::string& database) override;
  absl::StatusOr<std::vector<Column>> DescribeTable(const std::string& database,
                                                    const std::string& table) override;

 private:
  // A unary call.
  template <typename Stub, typename Method, typename Request, typename Response>
  absl::Status Call(Stub& stub, Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
    return FromGrpc((stub.*method)(&context, request, &response));
  }

  const absl::Duration timeout_;
  const std::unique_ptr<v1::WriteService::Stub> write_;
  const std::unique_ptr<v1::QueryService::Stub> query_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
};

absl::StatusOr<WriteResult> GrpcClient::Write(const std::string& database,
                                              std::string line_protocol,
                                              const WriteOptions& options) {
  v1::WriteRequest request;
  request.set_database(database);
  request.set_line_protocol(std::move(line_protocol));
  request.set_precision(ToProto(options.precision));
  request.set_accept_partial(options.accept_partial);
  request.set_no_sync(options.no_sync);
  request.set_partial_as_error(options.partial_as_error);
  v1::WriteResponse response;
  absl::Status status = Call(*write_, &v1::WriteService::Stub::Write, request, response);
  if (!status.ok()) return status;
  WriteResult result;
  result.ingested_points = response.ingested_points();
  result.rejected_lines = response.rejected_lines();
  for (const auto& error : response.line_errors()) result.line_errors.push_back(FromProto(error));
  return result;
}

absl::Status GrpcClient::Query(const std::string& database, const std::string& sql,
                               const ResultReader& reader) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
  v1::QueryRequest request;
  request.set_database(database);
  request.set_sql(sql);
  auto stream = query_->Query(&context, request);
  v1::QueryResponse part;
  while (stream->Read(&part)) {
    if (part.has_columns()) {
      std::vector<Column> columns;
      for (const auto& column : part.columns().columns()) {
        columns.push_back({column.name(), column.type()});
      }
      if (reader.on_columns) reader.on_columns(columns);
    }
    for (const auto& row : part.rows().rows()) {
      std::vector<Value> values;
      for (const auto& value : row.values()) values.push_back(FromProto(value));
      if (reader.on_row) reader.on_row(values);
    }
  }
  return FromGrpc(stream->Finish());
}

absl::StatusOr<Database> GrpcClient::CreateDatabase(const std::string& name,
                                                    std::optional<absl::Duration> retention) {
  v1::CreateDatabaseRequest request;
  request.set_name(name);
  SetRetentionOf(retention, request);
  v1::CreateDatabaseResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::CreateDatabase, request, response);
  if (!status.ok()) return status;
  return FromProto(response.database());
}

absl::StatusOr<std::vector<Database>> GrpcClient::ListDatabases() {
  v1::ListDatabasesResponse response;
  absl::Status status =
      Call(*admin_, &v1::AdminService::Stub::ListDatabases, v1::ListDatabasesRequest(), response);
  if (!status.ok()) return status;
  std::vector<Database> databases;
  for (const auto& database : response.databases()) databases.push_back(FromProto(database));
  return databases;
}

absl::StatusOr<Database> GrpcClient::GetDatabase(const std::string& name) {
  v1::GetDatabaseRequest request;
  request.set_name(name);
  v1::GetDatabaseResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::GetDatabase, request, response);
  if (!status.ok()) return status;
  return FromProto(response.database());
}

absl::StatusOr<Database> GrpcClient::SetRetention(const std::string& name,
                                                  std::optional<absl::Duration> retention) {
  v1::UpdateDatabaseRequest request;
  request.set_name(name);
  SetRetentionOf(retention, request);
  v1::UpdateDatabaseResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::UpdateDatabase, request, response);
  if (!status.ok()) return status;
  return FromProto(response.database());
}

absl::Status GrpcClient::DropDatabase(const std::string& name) {
  v1::DropDatabaseRequest request;
  request.set_name(name);
  v1::DropDatabaseResponse response;
  return Call(*admin_, &v1::AdminService::Stub::DropDatabase, request, response);
}

absl::StatusOr<std::vector<std::string>> GrpcClient::ListTables(const std::string& database) {
  v1::ListTablesRequest request;
  request.set_database(database);
  v1::ListTablesResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::ListTables, request, response);
  if (!status.ok()) return status;
  return std::vector<std::string>(response.tables().begin(), response.tables().end());
}

absl::StatusOr<std::vector<Column>> GrpcClient::DescribeTable(const std::string& database,
                                                              const std::string& table) {
  v1::DescribeTableRequest request;
  request.set_database(database);
  request.set_table(table);
  v1::DescribeTableResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::DescribeTable, request, response);
  if (!status.ok()) return status;
  std::vector<Column> columns;
  for (const auto& column : response.columns()) {
    std::string type(absl::StripPrefix(v1::ColumnType_Name(column.type()), "COLUMN_TYPE_"));
    columns.push_back({column.name(), absl::AsciiStrToLower(type)});
  }
  return columns;
}

std::string Quote(std::string_view bytes) {
  std::string text = "x'";
  for (char c : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text + "'";
}

struct AsText {
  std::string operator()(std::monostate) const { return "NULL"; }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const Bytes& value) const { return Quote(value.bytes); }
  template <typename Number>
  std::string operator()(Number value) const {
    return fmt::format("{}", value);
  }
};

}  // namespace

std::string ToText(const Value& value) { return std::visit(AsText(), value); }

std::unique_ptr<Client> Client::Connect(const std::string& address, absl::Duration timeout) {
  grpc::ChannelArguments arguments;
  // The server bounds what it takes; the client takes what it answers.
  arguments.SetMaxReceiveMessageSize(-1);
  auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  return std::make_unique<GrpcClient>(channel, timeout);
}

std::vector<std::pair<std::string, std::string>> ViolationsOf(const absl::Status& status) {
  std::vector<std::pair<std::string, std::string>> violations;
  absl::optional<absl::Cord> payload = status.GetPayload(kDetailsUrl);
  google::rpc::Status details;
  if (!payload || !details.ParseFromString(std::string(*payload))) return violations;
  google::rpc::BadRequest bad_request;
  for (const auto& detail : details.details()) {
    if (!detail.UnpackTo(&bad_request)) continue;
    for (const auto& violation : bad_request.field_violations()) {
      violations.emplace_back(violation.field(), violation.description());
    }
  }
  return violations;
}

}  // namespace sluice::client
