#include "client/client.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"
#include "client/channel.h"
#include "client/proto.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/query.grpc.pb.h"
#include "sluice/v1/server.grpc.pb.h"
#include "sluice/v1/write.grpc.pb.h"

namespace sluice::client {
namespace {

// A backup of a terabyte takes hours.
constexpr absl::Duration kBackupTimeout = absl::Hours(24);

PointError FromProto(const v1::PointError& error) {
  std::optional<LinePosition> line;
  if (error.has_line()) {
    line = {error.line().number(), error.line().byte_begin(), error.line().byte_end()};
  }
  return {.index = error.index(),
          .line = line,
          .reason = NameOf(error.reason()),
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

// Of a google.protobuf.Duration or, since the epoch, a Timestamp.
template <typename Message>
absl::Duration DurationOf(const Message& message) {
  return absl::Seconds(message.seconds()) + absl::Nanoseconds(message.nanos());
}

template <typename Message>
void Set(absl::Duration duration, Message& to) {
  to.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  to.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

Database FromProto(const v1::Database& database) {
  Database result;
  result.name = database.name();
  result.create_time = absl::UnixEpoch() + DurationOf(database.create_time());
  DatabaseSettings& settings = result.settings;
  if (database.has_retention_period()) {
    settings.retention_period = DurationOf(database.retention_period());
  }
  if (database.has_max_tables()) settings.max_tables = database.max_tables();
  if (database.has_max_columns()) settings.max_columns = database.max_columns();
  return result;
}

Rejection FromProto(const v1::Rejection& rejection) {
  return {.id = rejection.id(),
          .time = absl::UnixEpoch() + DurationOf(rejection.time()),
          .principal = rejection.principal(),
          .peer = rejection.peer(),
          .door = rejection.door(),
          .error = FromProto(rejection.error())};
}

Token FromProto(const v1::Token& token) {
  Token result;
  result.name = token.name();
  result.admin = token.admin();
  for (const auto& permission : token.permissions()) {
    result.permissions.push_back({permission.database(), permission.read(), permission.write()});
  }
  result.create_time = absl::UnixEpoch() + DurationOf(token.create_time());
  if (token.has_expire_time()) {
    result.expire_time = absl::UnixEpoch() + DurationOf(token.expire_time());
  }
  result.certificate_name = token.certificate_name();
  result.max_requests_per_second = token.max_requests_per_second();
  result.max_bytes_per_second = token.max_bytes_per_second();
  return result;
}

Backup FromProto(const v1::Backup& backup) {
  return {.id = backup.id(),
          .create_time = absl::UnixEpoch() + DurationOf(backup.create_time()),
          .size_bytes = backup.size_bytes(),
          .file_count = backup.file_count(),
          .instance_id = backup.instance_id(),
          .format = backup.format(),
          .damaged = backup.damaged()};
}

template <typename Request>
void Fill(const DatabaseSettings& settings, Request& request) {
  if (settings.retention_period) {
    Set(*settings.retention_period, *request.mutable_retention_period());
  }
  if (settings.max_tables) request.set_max_tables(*settings.max_tables);
  if (settings.max_columns) request.set_max_columns(*settings.max_columns);
}

void Read(const v1::QueryResponse& part, const ResultReader& reader) {
  if (part.has_columns() && reader.on_columns) {
    std::vector<Column> columns;
    for (const auto& column : part.columns().columns()) {
      columns.push_back({column.name(), column.type()});
    }
    reader.on_columns(columns);
  }
  if (!reader.on_row) return;
  for (const auto& row : part.rows().rows()) {
    std::vector<Value> values;
    for (const auto& value : row.values()) values.push_back(FromProto(value));
    reader.on_row(values);
  }
}

class GrpcClient : public Client {
 public:
  GrpcClient(const std::shared_ptr<grpc::Channel>& channel, const ConnectOptions& options)
      : options_(options),
        token_(options.token, options.token_source),
        write_(v1::WriteService::NewStub(channel)),
        query_(v1::QueryService::NewStub(channel)),
        admin_(v1::AdminService::NewStub(channel)),
        server_(v1::ServerService::NewStub(channel)) {}

  absl::StatusOr<ServerInfo> GetServerInfo() override;
  absl::StatusOr<WriteResult> Write(const std::string& database, std::string line_protocol,
                                    const WriteOptions& options) override;
  absl::StatusOr<Verdict> Validate(const std::string& database, std::string line_protocol,
                                   Precision precision) override;
  absl::Status Query(const std::string& database, const std::string& sql,
                     const ResultReader& reader) override;
  absl::StatusOr<Database> CreateDatabase(const std::string& name,
                                          const DatabaseSettings& settings) override;
  absl::StatusOr<std::vector<Database>> ListDatabases() override;
  absl::StatusOr<Database> GetDatabase(const std::string& name) override;
  absl::StatusOr<Database> UpdateDatabase(const std::string& name,
                                          const DatabaseChange& change) override;
  absl::Status DropDatabase(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> ListTables(const std::string& database) override;
  absl::StatusOr<std::vector<Column>> DescribeTable(const std::string& database,
                                                    const std::string& table) override;
  absl::StatusOr<std::vector<Rejection>> ListRejections(const std::string& database,
                                                        uint32_t max_count,
                                                        int64_t newer_than) override;
  absl::StatusOr<CreatedToken> CreateToken(const Token& token) override;
  absl::StatusOr<Backup> CreateBackup(int32_t keep, bool verify) override;
  absl::StatusOr<std::vector<Backup>> ListBackups() override;
  absl::Status VerifyBackup(int64_t id) override;
  absl::Status DeleteBackup(int64_t id) override;
  absl::StatusOr<std::vector<Token>> ListTokens() override;
  absl::Status DeleteToken(const std::string& name) override;

 private:
  // Makes a call, `call`, of a context and to a status: once more where the token was refused and
  // there is another one.
  template <typename Make>
  absl::Status Call(Make make) {
    return Call(options_.timeout, make);
  }
  template <typename Make>
  absl::Status Call(absl::Duration timeout, Make make) {
    while (true) {
      const absl::StatusOr<std::string> token = token_.Get();
      if (!token.ok()) return token.status();
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
      context.set_wait_for_ready(options_.wait_for_server);
      if (!token->empty()) context.AddMetadata("authorization", "Bearer " + *token);
      const absl::Status status = FromGrpc(make(context));
      if (!absl::IsUnauthenticated(status)) return status;
      const absl::StatusOr<bool> is_renewed = token_.Renew(*token);
      if (!is_renewed.ok() || !*is_renewed) return status;
    }
  }

  // A unary call.
  template <typename Stub, typename Method, typename Request, typename Response>
  absl::Status Call(Stub& stub, Method method, const Request& request, Response& response) {
    return Call(
        [&](grpc::ClientContext& context) { return (stub.*method)(&context, request, &response); });
  }

  // Calls `take` with each page of a list.
  template <typename Response, typename Method, typename Request, typename Take>
  absl::Status EachPage(Method method, Request request, Take take) {
    do {
      Response response;
      absl::Status status = Call(*admin_, method, request, response);
      if (!status.ok()) return status;
      take(response);
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return absl::OkStatus();
  }

  const ConnectOptions options_;
  CurrentToken token_;
  const std::unique_ptr<v1::WriteService::Stub> write_;
  const std::unique_ptr<v1::QueryService::Stub> query_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
  const std::unique_ptr<v1::ServerService::Stub> server_;
};

absl::StatusOr<ServerInfo> GrpcClient::GetServerInfo() {
  v1::GetServerInfoResponse response;
  absl::Status status =
      Call(*server_, &v1::ServerService::Stub::GetServerInfo, v1::GetServerInfoRequest(), response);
  if (!status.ok()) return status;
  ServerInfo info;
  info.version = response.version();
  info.instance_id = response.instance_id();
  if (response.has_start_time()) {
    info.start_time = absl::UnixEpoch() + DurationOf(response.start_time());
  }
  info.current_time = absl::UnixEpoch() + DurationOf(response.current_time());
  info.features.assign(response.features().begin(), response.features().end());
  info.principal = response.principal();
  info.max_batch_bytes = response.limits().max_batch_bytes();
  info.max_batch_points = response.limits().max_batch_points();
  info.max_tables = response.limits().max_tables();
  info.max_columns = response.limits().max_columns();
  return info;
}

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
  request.set_request_id(options.request_id);
  v1::WriteResponse response;
  absl::Status status = Call(*write_, &v1::WriteService::Stub::Write, request, response);
  if (!status.ok()) return status;
  WriteResult result;
  result.ingested_points = response.ingested_points();
  result.rejected_points = response.rejected_points();
  for (const auto& error : response.errors()) result.errors.push_back(FromProto(error));
  return result;
}

absl::StatusOr<Verdict> GrpcClient::Validate(const std::string& database, std::string line_protocol,
                                             Precision precision) {
  v1::ValidateRequest request;
  request.set_database(database);
  request.set_line_protocol(std::move(line_protocol));
  request.set_precision(ToProto(precision));
  v1::ValidateResponse response;
  absl::Status status = Call(*write_, &v1::WriteService::Stub::Validate, request, response);
  if (!status.ok()) return status;
  Verdict verdict;
  const v1::WriteResponse& outcome = response.outcome();
  verdict.accepted_points = outcome.ingested_points();
  verdict.rejected_points = outcome.rejected_points();
  for (const auto& error : outcome.errors()) verdict.errors.push_back(FromProto(error));
  for (const auto& cause : outcome.rejection_counts()) {
    verdict.rejections[NameOf(cause.reason())] += cause.count();
  }
  return verdict;
}

absl::Status GrpcClient::Query(const std::string& database, const std::string& sql,
                               const ResultReader& reader) {
  v1::QueryRequest request;
  request.set_database(database);
  request.set_sql(sql);
  return Call([&](grpc::ClientContext& context) {
    auto stream = query_->Query(&context, request);
    v1::QueryResponse part;
    while (stream->Read(&part)) Read(part, reader);
    return stream->Finish();
  });
}

absl::StatusOr<Database> GrpcClient::CreateDatabase(const std::string& name,
                                                    const DatabaseSettings& settings) {
  v1::CreateDatabaseRequest request;
  request.set_name(name);
  Fill(settings, request);
  v1::CreateDatabaseResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::CreateDatabase, request, response);
  if (!status.ok()) return status;
  return FromProto(response.database());
}

absl::StatusOr<std::vector<Database>> GrpcClient::ListDatabases() {
  std::vector<Database> databases;
  absl::Status status = EachPage<v1::ListDatabasesResponse>(
      &v1::AdminService::Stub::ListDatabases, v1::ListDatabasesRequest(), [&](const auto& page) {
        for (const auto& database : page.databases()) databases.push_back(FromProto(database));
      });
  if (!status.ok()) return status;
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

absl::StatusOr<Database> GrpcClient::UpdateDatabase(const std::string& name,
                                                    const DatabaseChange& change) {
  v1::UpdateDatabaseRequest request;
  request.set_name(name);
  Fill(change.Settings(), request);
  auto& mask = *request.mutable_update_mask();
  if (change.retention_period) mask.add_paths("retention_period");
  if (change.max_tables) mask.add_paths("max_tables");
  if (change.max_columns) mask.add_paths("max_columns");
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
  std::vector<std::string> tables;
  absl::Status status = EachPage<v1::ListTablesResponse>(
      &v1::AdminService::Stub::ListTables, std::move(request), [&](const auto& page) {
        tables.insert(tables.end(), page.tables().begin(), page.tables().end());
      });
  if (!status.ok()) return status;
  return tables;
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

absl::StatusOr<std::vector<Rejection>> GrpcClient::ListRejections(const std::string& database,
                                                                  uint32_t max_count,
                                                                  int64_t newer_than) {
  v1::ListRejectionsRequest request;
  request.set_database(database);
  request.set_page_size(static_cast<int32_t>(max_count));
  request.set_newer_than(newer_than);
  v1::ListRejectionsResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::ListRejections, request, response);
  if (!status.ok()) return status;
  std::vector<Rejection> rejections;
  for (const auto& rejection : response.rejections()) rejections.push_back(FromProto(rejection));
  return rejections;
}

absl::StatusOr<CreatedToken> GrpcClient::CreateToken(const Token& token) {
  v1::CreateTokenRequest request;
  request.set_name(token.name);
  request.set_admin(token.admin);
  for (const Permission& permission : token.permissions) {
    v1::Permission& to = *request.add_permissions();
    to.set_database(permission.database);
    to.set_read(permission.read);
    to.set_write(permission.write);
  }
  if (token.expire_time) {
    Set(*token.expire_time - absl::UnixEpoch(), *request.mutable_expire_time());
  }
  request.set_certificate_name(token.certificate_name);
  request.set_max_requests_per_second(token.max_requests_per_second);
  request.set_max_bytes_per_second(token.max_bytes_per_second);
  v1::CreateTokenResponse response;
  absl::Status status = Call(*admin_, &v1::AdminService::Stub::CreateToken, request, response);
  if (!status.ok()) return status;
  return CreatedToken{response.secret(), FromProto(response.token())};
}

absl::StatusOr<Backup> GrpcClient::CreateBackup(int32_t keep, bool verify) {
  v1::CreateBackupRequest request;
  request.set_keep(keep);
  request.set_verify(verify);
  v1::CreateBackupResponse response;
  const absl::Status status = Call(kBackupTimeout, [&](grpc::ClientContext& context) {
    return admin_->CreateBackup(&context, request, &response);
  });
  if (!status.ok()) return status;
  return FromProto(response.backup());
}

absl::StatusOr<std::vector<Backup>> GrpcClient::ListBackups() {
  std::vector<Backup> backups;
  absl::Status status = EachPage<v1::ListBackupsResponse>(
      &v1::AdminService::Stub::ListBackups, v1::ListBackupsRequest(), [&](const auto& page) {
        for (const auto& backup : page.backups()) backups.push_back(FromProto(backup));
      });
  if (!status.ok()) return status;
  return backups;
}

absl::Status GrpcClient::VerifyBackup(int64_t id) {
  v1::VerifyBackupRequest request;
  request.set_id(id);
  v1::VerifyBackupResponse response;
  return Call(kBackupTimeout, [&](grpc::ClientContext& context) {
    return admin_->VerifyBackup(&context, request, &response);
  });
}

absl::Status GrpcClient::DeleteBackup(int64_t id) {
  v1::DeleteBackupRequest request;
  request.set_id(id);
  v1::DeleteBackupResponse response;
  // It waits for a backup that is under way.
  return Call(kBackupTimeout, [&](grpc::ClientContext& context) {
    return admin_->DeleteBackup(&context, request, &response);
  });
}

absl::StatusOr<std::vector<Token>> GrpcClient::ListTokens() {
  std::vector<Token> tokens;
  absl::Status status = EachPage<v1::ListTokensResponse>(
      &v1::AdminService::Stub::ListTokens, v1::ListTokensRequest(), [&](const auto& page) {
        for (const auto& token : page.tokens()) tokens.push_back(FromProto(token));
      });
  if (!status.ok()) return status;
  return tokens;
}

absl::Status GrpcClient::DeleteToken(const std::string& name) {
  v1::DeleteTokenRequest request;
  request.set_name(name);
  v1::DeleteTokenResponse response;
  return Call(*admin_, &v1::AdminService::Stub::DeleteToken, request, response);
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

std::unique_ptr<Client> Client::Connect(const std::string& address, const ConnectOptions& options) {
  auto channel = MakeChannel(address, options.tls,
                             options.wait_for_server ? Retries::kByGrpc : Retries::kNone);
  return std::make_unique<GrpcClient>(channel, options);
}

}  // namespace sluice::client
