#ifndef SLUICE_CLIENT_CLIENT_H_
#define SLUICE_CLIENT_CLIENT_H_

#include <cstdint>
#include <functional>
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

// A client of a Sluice server over gRPC.
//
//   std::unique_ptr<Client> client = Client::Connect("127.0.0.1:8182");
//   absl::StatusOr<WriteResult> result = client->Write("demo", "home,room=a temp=21.5");
//   if (result.ok() && result->rejected_lines > 0) …result->line_errors…

namespace sluice::client {

enum class Precision { kNanosecond, kMicrosecond, kMillisecond, kSecond, kAuto };

// How to write; the meaning and the defaults are those of WriteRequest in write.proto.
struct WriteOptions {
  Precision precision = Precision::kNanosecond;
  bool accept_partial = true;
  bool no_sync = false;
  bool partial_as_error = false;
};

// One rejected line; see LineError in write.proto.
struct LineError {
  int64_t line_number = 0;
  int64_t byte_begin = 0;
  int64_t byte_end = 0;
  // The name of the proto's enum value without its prefix, such as "TYPE_CONFLICT".
  std::string reason;
  std::string message;
  std::string table;
  std::string column;
  std::string excerpt;
};

struct WriteResult {
  int64_t ingested_points = 0;
  int64_t rejected_lines = 0;
  // The first 100.
  std::vector<LineError> line_errors;
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

struct Database {
  std::string name;
  // Absent: points are kept for ever.
  std::optional<absl::Duration> retention_period;
  absl::Time create_time;
};

// Receives a query's result: the columns once, then each row.
struct ResultReader {
  std::function<void(const std::vector<Column>& columns)> on_columns;
  std::function<void(const std::vector<Value>& row)> on_row;
};

// Errors have the canonical code and the message of the server's status; what explains a failed
// write line by line is in its details: see ViolationsOf. Every call waits at most for
// `timeout`. Safe for use by many threads.
class Client {
 public:
  // Does not wait: the first call finds out whether the server, at "host:port", is there.
  static std::unique_ptr<Client> Connect(const std::string& address,
                                         absl::Duration timeout = absl::Seconds(60));
  virtual ~Client() = default;

  virtual absl::StatusOr<WriteResult> Write(const std::string& database, std::string line_protocol,
                                            const WriteOptions& options = {}) = 0;

  virtual absl::Status Query(const std::string& database, const std::string& sql,
                             const ResultReader& reader) = 0;

  virtual absl::StatusOr<Database> CreateDatabase(const std::string& name,
                                                  std::optional<absl::Duration> retention) = 0;
  virtual absl::StatusOr<std::vector<Database>> ListDatabases() = 0;
  virtual absl::StatusOr<Database> GetDatabase(const std::string& name) = 0;
  virtual absl::StatusOr<Database> SetRetention(const std::string& name,
                                                std::optional<absl::Duration> retention) = 0;
  virtual absl::Status DropDatabase(const std::string& name) = 0;
  virtual absl::StatusOr<std::vector<std::string>> ListTables(const std::string& database) = 0;
  // Columns by name, with their types as in Column and "time" for the timestamp.
  virtual absl::StatusOr<std::vector<Column>> DescribeTable(const std::string& database,
                                                            const std::string& table) = 0;
};

// The field violations that a failed call was explained with: field and description.
std::vector<std::pair<std::string, std::string>> ViolationsOf(const absl::Status& status);

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLIENT_H_
