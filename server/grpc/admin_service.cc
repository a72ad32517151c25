#include "server/grpc/admin_service.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "server/grpc/status.h"
#include "storage/retention.h"

namespace sluice::grpc_door {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

void Fill(const storage::DatabaseRecord& record, v1::Database& to) {
  to.set_name(record.name);
  to.mutable_create_time()->set_seconds(record.create_time_ns / kNsPerSecond);
  to.mutable_create_time()->set_nanos(static_cast<int32_t>(record.create_time_ns % kNsPerSecond));
  if (!record.retention_ns) return;
  to.mutable_retention_period()->set_seconds(*record.retention_ns / kNsPerSecond);
  to.mutable_retention_period()->set_nanos(
      static_cast<int32_t>(*record.retention_ns % kNsPerSecond));
}

template <typename Request>
absl::StatusOr<std::optional<int64_t>> RetentionOf(const Request& request) {
  if (!request.has_retention_period()) return std::nullopt;
  int64_t retention_ns = 0;
  const google::protobuf::Duration& period = request.retention_period();
  if (__builtin_mul_overflow(period.seconds(), kNsPerSecond, &retention_ns) ||
      __builtin_add_overflow(retention_ns, period.nanos(), &retention_ns)) {
    retention_ns = 0;
  }
  absl::Status checked = storage::CheckRetention(retention_ns);
  if (!checked.ok()) return checked;
  return retention_ns;
}

v1::ColumnType ToProto(storage::ColumnType type) {
  switch (type) {
    case storage::ColumnType::kTag:
      return v1::COLUMN_TYPE_TAG;
    case storage::ColumnType::kFloat:
      return v1::COLUMN_TYPE_FLOAT;
    case storage::ColumnType::kInteger:
      return v1::COLUMN_TYPE_INTEGER;
    case storage::ColumnType::kUnsigned:
      return v1::COLUMN_TYPE_UNSIGNED;
    case storage::ColumnType::kString:
      return v1::COLUMN_TYPE_STRING;
    case storage::ColumnType::kBoolean:
      return v1::COLUMN_TYPE_BOOLEAN;
  }
  return v1::COLUMN_TYPE_UNSPECIFIED;
}

void AddColumn(std::string_view name, v1::ColumnType type, v1::DescribeTableResponse& to) {
  v1::TableColumn& column = *to.add_columns();
  column.set_name(std::string(name));
  column.set_type(type);
}

// Runs a handler on a worker and finishes the call with what it returns.
template <typename Handler>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, server::Workers& workers,
                                 Handler handler) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  workers.Post([reactor, handler = std::move(handler)] { reactor->Finish(handler()); });
  return reactor;
}

// Checks the name of a database and hands it to `act`, whose error becomes the answer.
template <typename Act>
grpc::Status WithName(const std::string& text, const char* field, Act act) {
  auto name = storage::DatabaseName::Parse(text);
  if (!name.ok()) return ToGrpc(name.status(), field);
  return ToGrpc(act(*name), "database", text);
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::CreateDatabase(grpc::CallbackServerContext* context,
                                                       const v1::CreateDatabaseRequest* request,
                                                       v1::CreateDatabaseResponse* response) {
  return Answer(context, workers_, [this, request, response] {
    auto retention_ns = RetentionOf(*request);
    if (!retention_ns.ok()) return ToGrpc(retention_ns.status(), "retention_period");
    return WithName(request->name(), "name", [&](const storage::DatabaseName& name) {
      auto record = store_.CreateDatabase(name, *retention_ns);
      if (record.ok()) Fill(*record, *response->mutable_database());
      return record.status();
    });
  });
}

grpc::ServerUnaryReactor* AdminService::ListDatabases(grpc::CallbackServerContext* context,
                                                      const v1::ListDatabasesRequest*,
                                                      v1::ListDatabasesResponse* response) {
  return Answer(context, workers_, [this, response] {
    for (const auto& record : store_.ListDatabases()) Fill(record, *response->add_databases());
    return grpc::Status::OK;
  });
}

grpc::ServerUnaryReactor* AdminService::GetDatabase(grpc::CallbackServerContext* context,
                                                    const v1::GetDatabaseRequest* request,
                                                    v1::GetDatabaseResponse* response) {
  return Answer(context, workers_, [this, request, response] {
    return WithName(request->name(), "name", [&](const storage::DatabaseName& name) {
      auto database = store_.FindDatabase(name);
      if (database.ok()) Fill((*database)->record(), *response->mutable_database());
      return database.status();
    });
  });
}

grpc::ServerUnaryReactor* AdminService::UpdateDatabase(grpc::CallbackServerContext* context,
                                                       const v1::UpdateDatabaseRequest* request,
                                                       v1::UpdateDatabaseResponse* response) {
  return Answer(context, workers_, [this, request, response] {
    auto retention_ns = RetentionOf(*request);
    if (!retention_ns.ok()) return ToGrpc(retention_ns.status(), "retention_period");
    return WithName(request->name(), "name", [&](const storage::DatabaseName& name) {
      auto record = store_.SetRetention(name, *retention_ns);
      if (record.ok()) Fill(*record, *response->mutable_database());
      return record.status();
    });
  });
}

grpc::ServerUnaryReactor* AdminService::DropDatabase(grpc::CallbackServerContext* context,
                                                     const v1::DropDatabaseRequest* request,
                                                     v1::DropDatabaseResponse*) {
  return Answer(context, workers_, [this, request] {
    return WithName(request->name(), "name",
                    [&](const storage::DatabaseName& name) { return store_.DropDatabase(name); });
  });
}

grpc::ServerUnaryReactor* AdminService::ListTables(grpc::CallbackServerContext* context,
                                                   const v1::ListTablesRequest* request,
                                                   v1::ListTablesResponse* response) {
  return Answer(context, workers_, [this, request, response] {
    return WithName(request->database(), "database", [&](const storage::DatabaseName& name) {
      auto database = store_.FindDatabase(name);
      if (!database.ok()) return database.status();
      for (const auto& table : (*database)->schema()->Tables()) {
        response->add_tables(table->name());
      }
      return absl::OkStatus();
    });
  });
}

grpc::ServerUnaryReactor* AdminService::DescribeTable(grpc::CallbackServerContext* context,
                                                      const v1::DescribeTableRequest* request,
                                                      v1::DescribeTableResponse* response) {
  return Answer(context, workers_, [this, request, response] {
    storage::TablePtr table;
    grpc::Status found =
        WithName(request->database(), "database", [&](const storage::DatabaseName& name) {
          auto database = store_.FindDatabase(name);
          if (database.ok()) table = (*database)->schema()->Find(request->table());
          return database.status();
        });
    if (!found.ok()) return found;
    if (table == nullptr) {
      return ToGrpc(absl::NotFoundError(fmt::format("table \"{}\" not found", request->table())),
                    "table", request->table());
    }
    AddColumn("time", v1::COLUMN_TYPE_TIME, *response);
    for (const storage::Column& column : table->columns()) {
      AddColumn(column.name, ToProto(column.type), *response);
    }
    return grpc::Status::OK;
  });
}

}  // namespace sluice::grpc_door
