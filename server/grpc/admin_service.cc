#include "server/grpc/admin_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "server/ingest/bad_field.h"
#include "storage/caught.h"
#include "storage/reason.h"
#include "storage/retention.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr size_t kDefaultRejections = 100;
constexpr size_t kMaxPage = 1000;
constexpr std::string_view kTokenPrefix = "after:";
// Names can be long, and clients take answers of up to 4 MiB.
constexpr size_t kMaxPageBytes = size_t{1} << 20;
constexpr char kRetentionField[] = "retention_period";
constexpr char kMaxTablesField[] = "max_tables";
constexpr char kMaxColumnsField[] = "max_columns";

// The end of a call: an error, and the field or kind of resource that it is about.
struct Fault {
  absl::Status status;
  const char* field = "";
};

// Of a google.protobuf.Timestamp or Duration, which have the same fields.
template <typename Message>
void SetNs(int64_t ns, Message& to) {
  int64_t seconds = ns / kNsPerSecond;
  int64_t nanos = ns % kNsPerSecond;
  // A Timestamp's nanoseconds count forward.
  if (nanos < 0) {
    nanos += kNsPerSecond;
    --seconds;
  }
  to.set_seconds(seconds);
  to.set_nanos(static_cast<int32_t>(nanos));
}

// A Timestamp's nanoseconds count forward, a Duration's as its seconds do.
bool HasValidNanos(const google::protobuf::Timestamp& time) {
  return time.nanos() >= 0 && time.nanos() < kNsPerSecond;
}
bool HasValidNanos(const google::protobuf::Duration& duration) {
  if (std::abs(int64_t{duration.nanos()}) >= kNsPerSecond) return false;
  return duration.seconds() == 0 || duration.nanos() == 0 ||
         (duration.seconds() < 0) == (duration.nanos() < 0);
}

// Nothing where it is none as its proto defines it, or 64 bits do not hold it.
template <typename Message>
std::optional<int64_t> NsOf(const Message& message) {
  if (!HasValidNanos(message)) return std::nullopt;
  int64_t ns = 0;
  if (__builtin_mul_overflow(message.seconds(), kNsPerSecond, &ns) ||
      __builtin_add_overflow(ns, message.nanos(), &ns)) {
    return std::nullopt;
  }
  return ns;
}

void Fill(const storage::DatabaseRecord& record, v1::Database& to) {
  to.set_name(record.name);
  SetNs(record.create_time_ns, *to.mutable_create_time());
  const storage::DatabaseSettings& settings = record.settings;
  if (settings.retention_ns) SetNs(*settings.retention_ns, *to.mutable_retention_period());
  if (settings.max_tables) to.set_max_tables(*settings.max_tables);
  if (settings.max_columns) to.set_max_columns(*settings.max_columns);
}

void Fill(const storage::TokenRecord& record, v1::Token& to) {
  to.set_name(record.name);
  to.set_admin(record.admin);
  for (const storage::Grant& grant : record.grants) {
    v1::Permission& permission = *to.add_permissions();
    permission.set_database(grant.database);
    permission.set_read(grant.read);
    permission.set_write(grant.write);
  }
  SetNs(record.create_time_ns, *to.mutable_create_time());
  if (record.expiry_ns) SetNs(*record.expiry_ns, *to.mutable_expire_time());
  to.set_certificate_name(record.certificate_name);
  to.set_max_requests_per_second(record.max_requests_per_second);
  to.set_max_bytes_per_second(record.max_bytes_per_second);
}

void Fill(const storage::BackupRecord& record, v1::Backup& to) {
  to.set_id(record.id);
  SetNs(record.create_time_ns, *to.mutable_create_time());
  to.set_size_bytes(static_cast<int64_t>(record.bytes));
  to.set_file_count(static_cast<int64_t>(record.files));
  to.set_instance_id(record.instance);
  to.set_format(record.format);
  to.set_damaged(record.damaged);
}

void Fill(const ingest::KeptRejection& kept, v1::Rejection& to) {
  to.set_id(kept.id);
  SetNs(kept.time_ns, *to.mutable_time());
  to.set_principal(kept.origin.principal);
  to.set_peer(kept.origin.peer);
  to.set_door(kept.origin.door);
  *to.mutable_error() = ToProto(kept.rejection);
}

// The settings that a request has; what it leaves out is unset.
template <typename Request>
Fault ReadSettings(const Request& request, storage::DatabaseSettings& settings) {
  if (request.has_retention_period()) {
    const std::optional<int64_t> retention_ns = NsOf(request.retention_period());
    if (!retention_ns) {
      return {absl::InvalidArgumentError("retention_period is too long, or no Duration: nanos are "
                                         "less than a second, and of the sign of seconds"),
              kRetentionField};
    }
    settings.retention_ns = *retention_ns;
    absl::Status checked = storage::CheckRetention(*settings.retention_ns);
    if (!checked.ok()) return {checked, kRetentionField};
  }
  if (request.has_max_tables()) {
    settings.max_tables = request.max_tables();
    absl::Status checked = storage::CheckTableLimit(request.max_tables());
    if (!checked.ok()) return {checked, kMaxTablesField};
  }
  if (request.has_max_columns()) {
    settings.max_columns = request.max_columns();
    absl::Status checked = storage::CheckColumnLimit(request.max_columns());
    if (!checked.ok()) return {checked, kMaxColumnsField};
  }
  return {};
}

// Which settings an update is about.
struct Mask {
  bool retention = false;
  bool max_tables = false;
  bool max_columns = false;
};

Fault ReadMask(const v1::UpdateDatabaseRequest& request, Mask& mask) {
  if (request.update_mask().paths().empty()) {
    mask = {request.has_retention_period(), request.has_max_tables(), request.has_max_columns()};
    return {};
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == kRetentionField) {
      mask.retention = true;
    } else if (path == kMaxTablesField) {
      mask.max_tables = true;
    } else if (path == kMaxColumnsField) {
      mask.max_columns = true;
    } else {
      return {absl::InvalidArgumentError(
                  fmt::format("'{}' is not a setting; there are retention_period, max_tables and "
                              "max_columns",
                              path)),
              "update_mask"};
    }
  }
  return {};
}

absl::StatusOr<auth::NewToken> ReadToken(const v1::CreateTokenRequest& request) {
  auth::NewToken token = {.name = request.name(),
                          .admin = request.admin(),
                          .certificate_name = request.certificate_name(),
                          .max_requests_per_second = request.max_requests_per_second(),
                          .max_bytes_per_second = request.max_bytes_per_second()};
  for (const v1::Permission& permission : request.permissions()) {
    token.grants.push_back({permission.database(), permission.read(), permission.write()});
  }
  if (!request.has_expire_time()) return token;
  token.expiry_ns = NsOf(request.expire_time());
  if (!token.expiry_ns) {
    return absl::InvalidArgumentError(
        "expire_time is too far away, or no Timestamp: nanos are from 0 to 999999999");
  }
  return token;
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

// Checks the name of a database and hands it to `act`, whose error becomes the answer.
template <typename Act>
grpc::Status WithName(const std::string& text, const char* field, Act act) {
  auto name = storage::DatabaseName::Parse(text);
  if (!name.ok()) return ToGrpc(name.status(), field);
  return ToGrpc(act(*name), "database", text);
}

std::string PageTokenOf(std::string_view last) {
  return absl::Base64Escape(std::string(kTokenPrefix).append(last));
}

// What the page before ended with; nothing for the first page.
absl::StatusOr<std::optional<std::string>> ReadPageToken(const std::string& token) {
  if (token.empty()) return std::nullopt;
  std::string last;
  if (!absl::Base64Unescape(token, &last) || !std::string_view(last).starts_with(kTokenPrefix)) {
    return ingest::BadField("page_token", "is no next_page_token of an answer");
  }
  return last.substr(kTokenPrefix.size());
}

absl::StatusOr<size_t> ReadPageSize(int32_t size, size_t none) {
  if (size < 0) return ingest::BadField("page_size", "is negative");
  return size == 0 ? none : std::min(static_cast<size_t>(size), kMaxPage);
}

// Puts the page that a request asks for into a list of a response. `items` are in the order of
// their names; a page's token has the last name of the page before.
template <typename Items, typename NameOf, typename Add, typename Request, typename Response>
absl::Status FillPage(const Items& items, NameOf name_of, Add add, const Request& request,
                      Response& response) {
  const absl::StatusOr<size_t> size = ReadPageSize(request.page_size(), kMaxPage);
  if (!size.ok()) return size.status();
  const absl::StatusOr<std::optional<std::string>> before = ReadPageToken(request.page_token());
  if (!before.ok()) return before.status();
  size_t count = 0;
  std::string last;
  for (const auto& item : items) {
    const std::string& name = name_of(item);
    if (*before && name <= **before) continue;
    if (count == *size || response.ByteSizeLong() > kMaxPageBytes) {
      response.set_next_page_token(PageTokenOf(last));
      return absl::OkStatus();
    }
    add(item);
    last = name;
    ++count;
  }
  return absl::OkStatus();
}

// What `act` returns, or an error for what it throws.
template <typename Act>
grpc::Status RunCaught(const server::Parts& parts, const grpc::CallbackServerContext& context,
                       const Act& act) {
  // It may have waited for others.
  if (context.IsCancelled()) return grpc::Status(grpc::StatusCode::CANCELLED, "nobody waits");
  absl::Status room = parts.answers.Check();
  if (room.ok()) room = parts.readiness.CheckServing();
  if (!room.ok()) return ToGrpc(room);
  grpc::Status status;
  absl::Status thrown = storage::Caught([&] { status = act(); });
  return thrown.ok() ? status : ToGrpc(thrown);
}

}  // namespace

// Of a request that the audit log has as text.
constexpr size_t kMaxAudited = 4096;

template <typename Act>
grpc::ServerUnaryReactor* AdminService::ForAdmin(grpc::CallbackServerContext* context,
                                                 const About& about, Act act,
                                                 server::Workers* workers) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto audited = RequestOf(parts_, *context);
  if (audited != nullptr) audited->SetTarget(about.target);
  const absl::Status admitted =
      parts_.gate.Admit(ClaimOf(parts_, *context, server::Act::kAdminister)).status();
  if (!admitted.ok()) {
    Finish(context, reactor, ToGrpc(admitted));
    return reactor;
  }
  if (audited != nullptr && about.asked != nullptr && about.asked->ByteSizeLong() < kMaxAudited) {
    audited->SetTarget(about.target, about.asked->ShortDebugString());
  }
  (workers == nullptr ? parts_.write_workers : *workers)
      .Post([this, context, reactor, act = std::move(act)] {
        Finish(context, reactor, RunCaught(parts_, *context, act));
      });
  return reactor;
}

template <typename Act>
grpc::ServerUnaryReactor* AdminService::ForReader(grpc::CallbackServerContext* context,
                                                  const std::string& text, const char* field,
                                                  Act act) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const server::Claim claim = ClaimOf(parts_, *context, server::Act::kDescribe, text);
  const absl::Status admitted = parts_.gate.Admit(claim).status();
  if (!admitted.ok()) {
    const bool about_name = absl::IsInvalidArgument(admitted);
    Finish(context, reactor, ToGrpc(admitted, about_name ? field : "database", text));
    return reactor;
  }
  parts_.write_workers.Post(
      [this, context, reactor, &text, name = *claim.database, act = std::move(act)] {
        Finish(context, reactor, RunCaught(parts_, *context, [&] {
                 auto database = parts_.store.FindDatabase(name);
                 if (!database.ok()) return ToGrpc(database.status(), "database", text);
                 auto view = (*database)->View();
                 return view.ok() ? act(*view) : ToGrpc(view.status(), "database", text);
               }));
      });
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::CreateDatabase(grpc::CallbackServerContext* context,
                                                       const v1::CreateDatabaseRequest* request,
                                                       v1::CreateDatabaseResponse* response) {
  return ForAdmin(context, {request->name(), request}, [this, request, response] {
    storage::DatabaseSettings settings;
    Fault fault = ReadSettings(*request, settings);
    if (!fault.status.ok()) return ToGrpc(fault.status, fault.field);
    return WithName(request->name(), "name", [&](const storage::DatabaseName& name) {
      auto record = parts_.store.CreateDatabase(name, settings);
      if (record.ok()) Fill(*record, *response->mutable_database());
      return record.status();
    });
  });
}

grpc::ServerUnaryReactor* AdminService::ListDatabases(grpc::CallbackServerContext* context,
                                                      const v1::ListDatabasesRequest* request,
                                                      v1::ListDatabasesResponse* response) {
  return ForAdmin(context, {}, [this, request, response] {
    auto databases = parts_.store.ListDatabases();
    if (!databases.ok()) return ToGrpc(databases.status());
    return ToGrpc(FillPage(
        *databases, [](const auto& record) -> const std::string& { return record.name; },
        [&](const auto& record) { Fill(record, *response->add_databases()); }, *request,
        *response));
  });
}

grpc::ServerUnaryReactor* AdminService::GetDatabase(grpc::CallbackServerContext* context,
                                                    const v1::GetDatabaseRequest* request,
                                                    v1::GetDatabaseResponse* response) {
  return ForReader(context, request->name(), "name",
                   [response](const storage::DatabaseView& database) {
                     Fill(*database.record, *response->mutable_database());
                     return grpc::Status::OK;
                   });
}

grpc::ServerUnaryReactor* AdminService::UpdateDatabase(grpc::CallbackServerContext* context,
                                                       const v1::UpdateDatabaseRequest* request,
                                                       v1::UpdateDatabaseResponse* response) {
  return ForAdmin(context, {request->name(), request}, [this, request, response] {
    storage::DatabaseSettings asked;
    Mask mask;
    Fault fault = ReadSettings(*request, asked);
    if (fault.status.ok()) fault = ReadMask(*request, mask);
    if (!fault.status.ok()) return ToGrpc(fault.status, fault.field);
    auto change = [&](storage::DatabaseSettings& settings) {
      if (mask.retention) settings.retention_ns = asked.retention_ns;
      if (mask.max_tables) settings.max_tables = asked.max_tables;
      if (mask.max_columns) settings.max_columns = asked.max_columns;
    };
    return WithName(request->name(), "name", [&](const storage::DatabaseName& name) {
      auto record = parts_.store.UpdateDatabase(name, change);
      if (record.ok()) Fill(*record, *response->mutable_database());
      return record.status();
    });
  });
}

grpc::ServerUnaryReactor* AdminService::DropDatabase(grpc::CallbackServerContext* context,
                                                     const v1::DropDatabaseRequest* request,
                                                     v1::DropDatabaseResponse*) {
  return ForAdmin(context, {request->name()}, [this, request] {
    return WithName(request->name(), "name", [&](const storage::DatabaseName& name) {
      return parts_.store.DropDatabase(name);
    });
  });
}

grpc::ServerUnaryReactor* AdminService::ListTables(grpc::CallbackServerContext* context,
                                                   const v1::ListTablesRequest* request,
                                                   v1::ListTablesResponse* response) {
  return ForReader(
      context, request->database(), "database",
      [request, response](const storage::DatabaseView& database) {
        return ToGrpc(FillPage(
            database.schema->Tables(),
            [](const auto& table) -> const std::string& { return table->name(); },
            [&](const auto& table) { response->add_tables(table->name()); }, *request, *response));
      });
}

grpc::ServerUnaryReactor* AdminService::DescribeTable(grpc::CallbackServerContext* context,
                                                      const v1::DescribeTableRequest* request,
                                                      v1::DescribeTableResponse* response) {
  return ForReader(context, request->database(), "database",
                   [request, response](const storage::DatabaseView& database) {
                     storage::TablePtr table = database.schema->Find(request->table());
                     if (table == nullptr) {
                       return ToGrpc(
                           storage::WithReason(absl::NotFoundError(fmt::format(
                                                   "table \"{}\" not found", request->table())),
                                               "TABLE_NOT_FOUND"),
                           "table", request->table());
                     }
                     AddColumn("time", v1::COLUMN_TYPE_TIME, *response);
                     for (const storage::Column& column : table->columns()) {
                       AddColumn(column.name, ToProto(column.type), *response);
                     }
                     return grpc::Status::OK;
                   });
}

grpc::ServerUnaryReactor* AdminService::ListRejections(grpc::CallbackServerContext* context,
                                                       const v1::ListRejectionsRequest* request,
                                                       v1::ListRejectionsResponse* response) {
  return ForReader(context, request->database(), "database",
                   [this, request, response](const storage::DatabaseView& database) {
                     // A page's token is the id that its last one has.
                     int64_t older_than = std::numeric_limits<int64_t>::max();
                     const absl::StatusOr<std::optional<std::string>> before =
                         ReadPageToken(request->page_token());
                     if (!before.ok()) return ToGrpc(before.status());
                     if (*before && !absl::SimpleAtoi(**before, &older_than)) {
                       return ToGrpc(ingest::BadField("page_token", "is none of this list"));
                     }
                     const absl::StatusOr<size_t> size =
                         ReadPageSize(request->page_size(), kDefaultRejections);
                     if (!size.ok()) return ToGrpc(size.status());
                     size_t count = 0;
                     for (const auto& kept : parts_.rejections.List(database.record->id, kMaxPage,
                                                                    request->newer_than())) {
                       if (kept->id >= older_than) continue;
                       if (count++ == *size) {
                         const int64_t last = response->rejections().rbegin()->id();
                         response->set_next_page_token(PageTokenOf(std::to_string(last)));
                         break;
                       }
                       Fill(*kept, *response->add_rejections());
                     }
                     return grpc::Status::OK;
                   });
}

grpc::ServerUnaryReactor* AdminService::CreateToken(grpc::CallbackServerContext* context,
                                                    const v1::CreateTokenRequest* request,
                                                    v1::CreateTokenResponse* response) {
  return ForAdmin(context, {request->name(), request}, [this, request, response] {
    absl::StatusOr<auth::NewToken> token = ReadToken(*request);
    if (!token.ok()) return ToGrpc(token.status(), "expire_time");
    auto created = parts_.authority.Create(*token, storage::NowNs());
    if (created.ok()) {
      response->set_secret(created->text);
      Fill(created->record, *response->mutable_token());
    }
    return ToGrpc(created.status(), "token", request->name());
  });
}

grpc::ServerUnaryReactor* AdminService::ListTokens(grpc::CallbackServerContext* context,
                                                   const v1::ListTokensRequest* request,
                                                   v1::ListTokensResponse* response) {
  return ForAdmin(context, {}, [this, request, response] {
    return ToGrpc(FillPage(
        parts_.authority.List(),
        [](const auto& record) -> const std::string& { return record.name; },
        [&](const auto& record) { Fill(record, *response->add_tokens()); }, *request, *response));
  });
}

grpc::ServerUnaryReactor* AdminService::DeleteToken(grpc::CallbackServerContext* context,
                                                    const v1::DeleteTokenRequest* request,
                                                    v1::DeleteTokenResponse*) {
  return ForAdmin(context, {request->name()}, [this, request] {
    return ToGrpc(parts_.authority.Delete(request->name()), "token", request->name());
  });
}

grpc::ServerUnaryReactor* AdminService::CreateBackup(grpc::CallbackServerContext* context,
                                                     const v1::CreateBackupRequest* request,
                                                     v1::CreateBackupResponse* response) {
  return ForAdmin(
      context, {},
      [this, request, response] {
        if (request->keep() < 0) return ToGrpc(ingest::BadField("keep", "is negative"));
        const auto made =
            parts_.backups.Create(static_cast<size_t>(request->keep()), request->verify());
        if (made.ok()) Fill(*made, *response->mutable_backup());
        return ToGrpc(made.status());
      },
      &parts_.backups.workers());
}

grpc::ServerUnaryReactor* AdminService::ListBackups(grpc::CallbackServerContext* context,
                                                    const v1::ListBackupsRequest* request,
                                                    v1::ListBackupsResponse* response) {
  return ForAdmin(context, {}, [this, request, response] {
    const auto backups = parts_.backups.List();
    if (!backups.ok()) return ToGrpc(backups.status());
    // A name for each that is in the order of the ids.
    std::vector<std::pair<std::string, const storage::BackupRecord*>> named;
    for (const storage::BackupRecord& backup : *backups) {
      named.emplace_back(fmt::format("{:010}", backup.id), &backup);
    }
    return ToGrpc(FillPage(
        named, [](const auto& backup) -> const std::string& { return backup.first; },
        [&](const auto& backup) { Fill(*backup.second, *response->add_backups()); }, *request,
        *response));
  });
}

grpc::ServerUnaryReactor* AdminService::VerifyBackup(grpc::CallbackServerContext* context,
                                                     const v1::VerifyBackupRequest* request,
                                                     v1::VerifyBackupResponse*) {
  return ForBackup(context, request->id(),
                   [this](uint32_t id) { return parts_.backups.Verify(id); });
}

grpc::ServerUnaryReactor* AdminService::DeleteBackup(grpc::CallbackServerContext* context,
                                                     const v1::DeleteBackupRequest* request,
                                                     v1::DeleteBackupResponse*) {
  return ForBackup(context, request->id(),
                   [this](uint32_t id) { return parts_.backups.Delete(id); });
}

grpc::ServerUnaryReactor* AdminService::ForBackup(grpc::CallbackServerContext* context, int64_t id,
                                                  std::function<absl::Status(uint32_t id)> act) {
  return ForAdmin(
      context, {std::to_string(id)},
      [id, act = std::move(act)] {
        const bool possible = id >= 0 && id <= std::numeric_limits<uint32_t>::max();
        return ToGrpc(possible ? act(static_cast<uint32_t>(id))
                               : absl::NotFoundError(fmt::format("there is no backup {}", id)),
                      "backup", std::to_string(id));
      },
      &parts_.backups.workers());
}

}  // namespace sluice::grpc_door
