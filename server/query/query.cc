#include "server/query/query.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <atomic>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/query/functions.h"
#include "server/query/rejection_table.h"
#include "server/query/sqlite_statement.h"
#include "server/query/table_module.h"
#include "server/query/time_collation.h"
#include "server/query/unsigned_collation.h"

namespace sluice::query {
namespace {

using Clock = std::chrono::steady_clock;

// What one value, one row and one statement's text may take. SQLite looks at the clock between the
// steps of its machine only, so a function of one value must not take long: hence also the limit
// for the patterns of LIKE.
constexpr int kMaxValueBytes = 4 << 20;
constexpr size_t kMaxRowBytes = size_t{16} << 20;
constexpr int kMaxSqlBytes = 1 << 20;
constexpr int kMaxPatternBytes = 1000;
// How many steps of SQLite's machine lie between two looks at the clock. A step may be a function
// of a value of 4 MiB, which takes milliseconds.
constexpr int kStepsBetweenLooks = 200;

struct CloseConnection {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

// load_extension runs code, fts3_tokenizer hands out addresses, and json_patch takes the product of
// its arguments' lengths.
bool IsDenied(std::string_view function) {
  return function == "load_extension" || function == "fts3_tokenizer" || function == "json_patch";
}

// A query reads tables and calls functions, and does nothing else.
int Authorize(void*, int action, const char*, const char* function, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      return IsDenied(function) ? SQLITE_DENY : SQLITE_OK;
    default:
      return SQLITE_DENY;
  }
}

// Set once, when the server stops.
std::atomic<bool> stopping = false;

absl::Status NotOneSelect() {
  return absl::InvalidArgumentError(
      "a query is one SELECT statement that only reads, and nothing else");
}

class SqliteQuery : public Query {
 public:
  SqliteQuery(Governor& governor, Governor::Slot slot, const QueryRequest& request)
      : slot_(std::move(slot)),
        governor_(governor),
        memory_(governor.memory()),
        deadline_(request.deadline),
        abandoned_(request.abandoned) {}

  ~SqliteQuery() override { governor_.counts().seconds.Observe(Clock::now() - begun_); }

  absl::Status Start(std::shared_ptr<const storage::Snapshot> snapshot,
                     const ingest::RejectionLog& log, const QueryRequest& request);

  const std::vector<Column>& columns() const override { return columns_; }
  absl::StatusOr<bool> Next(Row& row) override;

 private:
  absl::Status Prepare(const std::string& sql);
  absl::Status Bind(const std::map<std::string, Parameter>& parameters);
  bool Charge(int64_t bytes);
  absl::Status Error();
  void ReadColumns();
  Value At(int column) const;
  size_t RowBytes() const;
  bool ShouldStop() const;
  bool IsAbandoned() const { return abandoned_ != nullptr && *abandoned_; }

  const Governor::Slot slot_;
  Governor& governor_;
  server::MemoryBudget::Share memory_;
  const Clock::time_point begun_ = Clock::now();
  const Clock::time_point deadline_;
  const std::shared_ptr<const std::atomic<bool>> abandoned_;
  TableSource source_;
  // In this order, so that the statement goes first.
  Connection connection_;
  Statement statement_;
  std::vector<Column> columns_;
};

absl::Status SqliteQuery::Start(std::shared_ptr<const storage::Snapshot> snapshot,
                                const ingest::RejectionLog& log, const QueryRequest& request) {
  source_.min_time_ns = snapshot->record().MinTimeNs(request.arrival_ns);
  const uint32_t database_id = snapshot->record().id;
  source_.snapshot = std::move(snapshot);
  source_.should_stop = [this] { return ShouldStop(); };
  source_.charge = [this](int64_t bytes) { return Charge(bytes); };
  sqlite3* connection = nullptr;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  int opened = sqlite3_open_v2(":memory:", &connection, flags, governor_.vfs());
  connection_.reset(connection);
  if (opened != SQLITE_OK) return absl::InternalError("cannot open an SQLite connection");
  // "a" is a name, and never a text for want of a column of that name.
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  if (RegisterTimeCollation(connection) != SQLITE_OK ||
      RegisterUnsignedCollation(connection) != SQLITE_OK ||
      RegisterFunctions(connection, source_.should_stop) != SQLITE_OK) {
    return absl::InternalError("cannot set up an SQLite connection");
  }
  absl::Status added = AddTables(connection, source_, request.sql);
  if (added.ok()) added = AddRejectionTable(connection, log, database_id, request.sql);
  if (!added.ok()) return source_.status.ok() ? added : Error();
  // SQLite sets these up at their first use, which the authorizer would not let it do.
  if (absl::AsciiStrToLower(request.sql).find("json_") != std::string::npos) {
    sqlite3_exec(connection, "SELECT 1 FROM json_each('[]'), json_tree('[]')", nullptr, nullptr,
                 nullptr);
  }
  sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  sqlite3_limit(connection, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kMaxPatternBytes);
  sqlite3_limit(connection, SQLITE_LIMIT_SQL_LENGTH, kMaxSqlBytes);
  sqlite3_set_authorizer(connection, Authorize, nullptr);
  sqlite3_progress_handler(
      connection, kStepsBetweenLooks,
      [](void* self) { return static_cast<SqliteQuery*>(self)->ShouldStop() ? 1 : 0; }, this);
  absl::Status prepared = Prepare(request.sql);
  if (prepared.ok()) prepared = Bind(request.parameters);
  if (prepared.ok()) ReadColumns();
  return prepared;
}

absl::Status SqliteQuery::Prepare(const std::string& sql) {
  const char* tail = sql.c_str();
  while (*tail != '\0') {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(connection_.get(), tail, -1, &statement, &tail) != SQLITE_OK) {
      return Error();
    }
    Statement prepared(statement);
    if (prepared == nullptr) continue;
    if (statement_ != nullptr || sqlite3_stmt_readonly(statement) == 0) return NotOneSelect();
    // The program of SQLite's machine has addresses of the process in it.
    if (sqlite3_stmt_isexplain(statement) == 1) {
      return absl::InvalidArgumentError("EXPLAIN alone is not there; use EXPLAIN QUERY PLAN");
    }
    statement_ = std::move(prepared);
  }
  return statement_ == nullptr || sql.find('\0') != std::string::npos ? NotOneSelect()
                                                                      : absl::OkStatus();
}

absl::Status SqliteQuery::Bind(const std::map<std::string, Parameter>& parameters) {
  struct To {
    sqlite3_stmt* statement;
    int i;
    int operator()(std::monostate) const { return sqlite3_bind_null(statement, i); }
    int operator()(bool value) const { return sqlite3_bind_int(statement, i, value ? 1 : 0); }
    int operator()(int64_t value) const { return sqlite3_bind_int64(statement, i, value); }
    int operator()(double value) const { return sqlite3_bind_double(statement, i, value); }
    int operator()(const std::string& value) const {
      return sqlite3_bind_text64(statement, i, value.data(), value.size(), SQLITE_TRANSIENT,
                                 SQLITE_UTF8);
    }
  };
  for (int i = 1; i <= sqlite3_bind_parameter_count(statement_.get()); ++i) {
    const char* name = sqlite3_bind_parameter_name(statement_.get(), i);
    if (name == nullptr) {
      return absl::InvalidArgumentError(
          "the query has a parameter without a name; write $name, and give its value in `params`");
    }
    const auto found = parameters.find(name + 1);
    if (found == parameters.end()) {
      return absl::InvalidArgumentError(
          fmt::format("the query has the parameter {}, and `params` has no value for it", name));
    }
    if (std::visit(To{statement_.get(), i}, found->second) != SQLITE_OK) return Error();
  }
  return absl::OkStatus();
}

bool SqliteQuery::Charge(int64_t bytes) {
  if (bytes > 0) return memory_.Grow(static_cast<size_t>(bytes)).ok();
  memory_.Shrink(static_cast<size_t>(-bytes));
  return true;
}

absl::Status SqliteQuery::Error() {
  int code = sqlite3_errcode(connection_.get());
  if (code == SQLITE_INTERRUPT || absl::IsCancelled(source_.status)) {
    if (stopping) return absl::UnavailableError("the server is stopping");
    if (IsAbandoned()) return absl::CancelledError("the query was cancelled");
    return absl::DeadlineExceededError(
        "the query took longer than it may (--query-timeout-seconds)");
  }
  if (!source_.status.ok()) return source_.status;
  std::string text = sqlite3_errmsg(connection_.get());
  switch (code) {
    case SQLITE_AUTH:
      return NotOneSelect();
    case SQLITE_NOMEM:
      // All queries share it: the same one may pass when the others are done.
      return absl::UnavailableError("queries need more memory than they may have");
    case SQLITE_FULL:
      return absl::UnavailableError(
          "queries need more temporary disk than they may have; sort or group less, or later");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return absl::InternalError("the query's temporary data: " + text);
    default:
      return absl::InvalidArgumentError("SQL: " + text);
  }
}

void SqliteQuery::ReadColumns() {
  for (int i = 0; i < sqlite3_column_count(statement_.get()); ++i) {
    const char* declared = sqlite3_column_decltype(statement_.get(), i);
    columns_.push_back({sqlite3_column_name(statement_.get(), i),
                        std::string(TypeOfDeclaration(declared == nullptr ? "" : declared))});
  }
  // A name that comes again gets a suffix: an object of JSON has each key once.
  std::set<std::string> taken;
  for (const Column& column : columns_) taken.insert(column.name);
  std::set<std::string> told;
  for (Column& column : columns_) {
    if (told.insert(column.name).second) continue;
    std::string name;
    for (int i = 2; name.empty() || !taken.insert(name).second; ++i) {
      name = fmt::format("{}_{}", column.name, i);
    }
    column.name = name;
  }
}

absl::StatusOr<bool> SqliteQuery::Next(Row& row) {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_DONE:
      return false;
    case SQLITE_ROW:
      if (RowBytes() > kMaxRowBytes) {
        return absl::InvalidArgumentError("a row of the result takes more than 16 MiB");
      }
      row.clear();
      for (size_t i = 0; i < columns_.size(); ++i) row.push_back(At(static_cast<int>(i)));
      governor_.counts().rows.fetch_add(1, std::memory_order_relaxed);
      return true;
    default:
      ++governor_.counts().failures;
      return Error();
  }
}

// Of texts and blobs.
size_t SqliteQuery::RowBytes() const {
  size_t bytes = 0;
  for (int i = 0; i < static_cast<int>(columns_.size()); ++i) {
    int type = sqlite3_column_type(statement_.get(), i);
    if (type != SQLITE_TEXT && type != SQLITE_BLOB) continue;
    bytes += static_cast<size_t>(sqlite3_column_bytes(statement_.get(), i));
  }
  return bytes;
}

Value SqliteQuery::At(int column) const {
  sqlite3_stmt* statement = statement_.get();
  const std::string& type = columns_[static_cast<size_t>(column)].type;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: {
      int64_t number = sqlite3_column_int64(statement, column);
      // In a UNION the other arms may have anything.
      if (type == "boolean" && (number == 0 || number == 1)) return number == 1;
      if (type == "unsigned" && number >= 0) return static_cast<uint64_t>(number);
      return number;
    }
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const void* bytes = sqlite3_column_text(statement, column);
      std::string_view text(static_cast<const char*>(bytes),
                            static_cast<size_t>(sqlite3_column_bytes(statement, column)));
      if (type != "unsigned") return text;
      if (std::optional<uint64_t> number = ParseLargeUnsigned(text)) return *number;
      return text;
    }
    case SQLITE_BLOB: {
      const void* bytes = sqlite3_column_blob(statement, column);
      return Blob{{static_cast<const char*>(bytes),
                   static_cast<size_t>(sqlite3_column_bytes(statement, column))}};
    }
    default:
      return std::monostate();
  }
}

bool SqliteQuery::ShouldStop() const {
  return stopping || IsAbandoned() || Clock::now() > deadline_;
}

}  // namespace

void StopQueries() { stopping = true; }

absl::StatusOr<std::unique_ptr<Query>> Query::Open(const storage::Store& store,
                                                   const ingest::RejectionLog& log,
                                                   Governor& governor,
                                                   const QueryRequest& request) {
  // It has waited for a worker so long, and may find one sooner another time.
  if (Clock::now() > request.deadline) {
    return absl::UnavailableError(
        "the query waited for others longer than it may take (--query-timeout-seconds)");
  }
  absl::StatusOr<Governor::Slot> slot = governor.Enter();
  if (!slot.ok()) return slot.status();
  auto database = store.FindDatabase(request.database);
  if (!database.ok()) return database.status();
  auto snapshot = (*database)->TakeSnapshot();
  if (!snapshot.ok()) return snapshot.status();
  auto query = std::make_unique<SqliteQuery>(governor, *std::move(slot), request);
  absl::Status started = query->Start(*std::move(snapshot), log, request);
  if (!started.ok()) return started;
  return query;
}

}  // namespace sluice::query
