#ifndef SLUICE_CLIENT_CLIENT_H_
#define SLUICE_CLIENT_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/precision.h"

// A client of a Sluice server over gRPC.
//
//   std::unique_ptr<Client> client = Client::Connect("127.0.0.1:8182", {.token = "sluice_…"});
//   absl::StatusOr<WriteResult> result = client->Write("demo", "home,room=a temp=21.5");
//   if (result.ok() && result->rejected_points > 0) …result->errors…

namespace sluice::client {

// How to write; the meaning and the defaults are those of WriteRequest in write.proto.
struct WriteOptions {
  Precision precision = Precision::kNanosecond;
  bool accept_partial = true;
  bool no_sync = false;
  bool partial_as_error = false;
  // Names the write, so that it is not made twice: the same call again gets the first answer.
  // Without, a point that has no time may be there twice where the write was made again.
  std::string request_id = "";
};

// Where a point is in a body of line protocol.
struct LinePosition {
  int64_t number = 0;
  int64_t byte_begin = 0;
  int64_t byte_end = 0;
};

// One rejected point; see PointError in write.proto.
struct PointError {
  int64_t index = 0;
  // Of line protocol.
  std::optional<LinePosition> line = std::nullopt;
  // The name of the proto's enum value without its prefix, such as "TYPE_CONFLICT".
  std::string reason;
  std::string message;
  std::string table;
  std::string column;
  std::string excerpt;
};

struct WriteResult {
  int64_t ingested_points = 0;
  int64_t rejected_points = 0;
  // The first 100.
  std::vector<PointError> errors;
};

struct Bytes {
  std::string bytes;
};

// One value of a row; std::monostate is NULL.
using Value = std::variant<std::monostate, std::string, int64_t, uint64_t, double, bool, Bytes>;

// As a person reads it; "NULL" for NULL.
std::string ToText(const Value& value);

struct Column {
  std::string name;
  // "time", "tag", "float", "integer", "unsigned", "string", "boolean", or empty for an expression.
  std::string type;
};

// What would become of a body; see ValidateResponse in write.proto.
struct Verdict {
  int64_t accepted_points = 0;
  int64_t rejected_points = 0;
  // The first of them.
  std::vector<PointError> errors;
  // All, by reason.
  std::map<std::string, int64_t> rejections;
};

// What is set of a database.
struct DatabaseSettings {
  // Absent: points are kept for ever.
  std::optional<absl::Duration> retention_period = std::nullopt;
  // Absent: as many as the server's flags say.
  std::optional<uint32_t> max_tables = std::nullopt;
  std::optional<uint32_t> max_columns = std::nullopt;
};

// What to change of a database: nothing where a member is absent; one that holds nothing unsets.
struct DatabaseChange {
  std::optional<std::optional<absl::Duration>> retention_period = std::nullopt;
  std::optional<std::optional<uint32_t>> max_tables = std::nullopt;
  std::optional<std::optional<uint32_t>> max_columns = std::nullopt;

  // What it makes of a database that has no settings.
  DatabaseSettings Settings() const {
    return {.retention_period = retention_period.value_or(std::nullopt),
            .max_tables = max_tables.value_or(std::nullopt),
            .max_columns = max_columns.value_or(std::nullopt)};
  }
};

struct Database {
  std::string name;
  DatabaseSettings settings;
  absl::Time create_time;
};

// A point that was rejected, and the request that brought it; see Rejection in admin.proto.
struct Rejection {
  int64_t id = 0;
  absl::Time time;
  std::string principal;
  std::string peer;
  std::string door;
  PointError error;
};

// What a token may do with a database, or with all where that is "*".
struct Permission {
  std::string database;
  bool read = false;
  bool write = false;
};

// What is known of a token.
struct Token {
  std::string name;
  bool admin = false;
  std::vector<Permission> permissions = {};
  // Of a new token it is ignored.
  absl::Time create_time = absl::InfinitePast();
  // Absent: never.
  std::optional<absl::Time> expire_time = std::nullopt;
  // Where it is not empty, the name in a client's certificate that is brought in place of a secret;
  // see Token in admin.proto.
  std::string certificate_name = "";
  // 0: no limit.
  uint64_t max_requests_per_second = 0;
  uint64_t max_bytes_per_second = 0;
};

// What a server is, and what it allows; see GetServerInfoResponse in server.proto.
struct ServerInfo {
  std::string version;
  // Empty without a valid token, as is the principal.
  std::string instance_id;
  std::optional<absl::Time> start_time;
  absl::Time current_time;
  std::vector<std::string> features;
  std::string principal;
  int64_t max_batch_bytes = 0;
  int64_t max_batch_points = 0;
  int64_t max_tables = 0;
  int64_t max_columns = 0;
};

struct CreatedToken {
  // What a client sends; the server tells it this once. Empty where it brings a certificate.
  std::string secret;
  Token token;
};

// What is known of a backup; see Backup in admin.proto.
struct Backup {
  int64_t id = 0;
  absl::Time create_time;
  int64_t size_bytes = 0;
  int64_t file_count = 0;
  std::string instance_id;
  int32_t format = 0;
  bool damaged = false;
};

// Receives a query's result: the columns once, then each row.
struct ResultReader {
  std::function<void(const std::vector<Column>& columns)> on_columns;
  std::function<void(const std::vector<Value>& row)> on_row;
};

struct ConnectOptions {
  // Sent with every call, unless empty.
  std::string token = "";
  // Wins over `token`.
  TokenSource token_source = nullptr;
  // Absent: plaintext.
  std::optional<Tls> tls = std::nullopt;
  // How long a call may take.
  absl::Duration timeout = absl::Seconds(60);
  // Whether a call waits for a server that is not there, for instance since it is being restarted,
  // as long as `timeout`. Otherwise it is Unavailable at once, and no call is made again.
  bool wait_for_server = true;
};

// Errors have the canonical code and the message of the server's status; what explains a failed
// write line by line is in its details: see connection.h. A write, or a call that changes nothing,
// is made again where the server cannot take it, as long as it has time. Has a connection of its
// own. Safe for use by many threads.
class Client {
 public:
  // Does not wait: the first call finds out whether the server, at "host:port", is there.
  static std::unique_ptr<Client> Connect(const std::string& address,
                                         const ConnectOptions& options = {});
  virtual ~Client() = default;

  virtual absl::StatusOr<ServerInfo> GetServerInfo() = 0;

  virtual absl::StatusOr<WriteResult> Write(const std::string& database, std::string line_protocol,
                                            const WriteOptions& options = {}) = 0;

  // Judges a body and stores nothing.
  virtual absl::StatusOr<Verdict> Validate(const std::string& database, std::string line_protocol,
                                           Precision precision = Precision::kNanosecond) = 0;

  virtual absl::Status Query(const std::string& database, const std::string& sql,
                             const ResultReader& reader) = 0;

  virtual absl::StatusOr<Database> CreateDatabase(const std::string& name,
                                                  const DatabaseSettings& settings = {}) = 0;
  virtual absl::StatusOr<std::vector<Database>> ListDatabases() = 0;
  virtual absl::StatusOr<Database> GetDatabase(const std::string& name) = 0;
  virtual absl::StatusOr<Database> UpdateDatabase(const std::string& name,
                                                  const DatabaseChange& change) = 0;
  virtual absl::Status DropDatabase(const std::string& name) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListTables(const std::string& database) = 0;
  // Columns by name, with their types as in Column and "time" for the timestamp.
  virtual absl::StatusOr<std::vector<Column>> DescribeTable(const std::string& database,
                                                            const std::string& table) = 0;

  // The newest first, at most `max_count`, those with an id above `newer_than`.
  virtual absl::StatusOr<std::vector<Rejection>> ListRejections(const std::string& database,
                                                                uint32_t max_count,
                                                                int64_t newer_than = 0) = 0;

  virtual absl::StatusOr<CreatedToken> CreateToken(const Token& token) = 0;
  virtual absl::StatusOr<std::vector<Token>> ListTokens() = 0;
  virtual absl::Status DeleteToken(const std::string& name) = 0;

  // Waits until it is complete, for a day whatever the timeout, as VerifyBackup does. Keeps the
  // newest `keep`, all where that is 0.
  virtual absl::StatusOr<Backup> CreateBackup(int32_t keep, bool verify) = 0;
  // The oldest first.
  virtual absl::StatusOr<std::vector<Backup>> ListBackups() = 0;
  virtual absl::Status VerifyBackup(int64_t id) = 0;
  virtual absl::Status DeleteBackup(int64_t id) = 0;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLIENT_H_
