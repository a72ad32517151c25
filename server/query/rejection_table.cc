#include "server/query/rejection_table.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <limits>

#include "absl/strings/ascii.h"
#include "server/query/sqlite_statement.h"
#include "server/query/table_module.h"
#include "server/query/time_collation.h"
#include "storage/timestamp.h"

namespace sluice::query {
namespace {

void Bind(sqlite3_stmt* statement, int parameter, std::string_view text) {
  sqlite3_bind_text64(statement, parameter, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
}

bool Insert(sqlite3_stmt* statement, const ingest::KeptRejection& kept) {
  const ingest::Rejection& rejection = kept.rejection;
  Bind(statement, 1, storage::FormatTimestamp(kept.time_ns));
  Bind(statement, 2, kept.origin.principal);
  Bind(statement, 3, kept.origin.peer);
  Bind(statement, 4, kept.origin.door);
  sqlite3_bind_int64(statement, 5, rejection.place.number());
  Bind(statement, 6, Name(rejection.reason));
  Bind(statement, 7, rejection.message);
  Bind(statement, 8, rejection.table);
  Bind(statement, 9, rejection.column);
  Bind(statement, 10, rejection.excerpt);
  bool inserted = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return inserted;
}

absl::Status Failed(sqlite3* connection) {
  return absl::InternalError(fmt::format("cannot show table '{}' to SQLite: {}", kRejectionTable,
                                         sqlite3_errmsg(connection)));
}

}  // namespace

absl::Status AddRejectionTable(sqlite3* connection, const ingest::RejectionLog& log,
                               uint32_t database_id, std::string_view sql) {
  if (absl::AsciiStrToLower(std::string(sql)).find(kRejectionTable) == std::string::npos) {
    return absl::OkStatus();
  }
  const std::string create = fmt::format(
      "CREATE TABLE {}(time {} COLLATE {}, principal TEXT_STRING, peer TEXT_STRING, "
      "door TEXT_STRING, line INTEGER, reason TEXT_STRING, message TEXT_STRING, "
      "table_name TEXT_STRING, column_name TEXT_STRING, excerpt TEXT_STRING)",
      kRejectionTable, kTimeDeclaration, kTimeCollation);
  if (sqlite3_exec(connection, create.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Failed(connection);
  }
  sqlite3_stmt* prepared = nullptr;
  const std::string insert =
      fmt::format("INSERT INTO {} VALUES(?,?,?,?,?,?,?,?,?,?)", kRejectionTable);
  sqlite3_prepare_v2(connection, insert.c_str(), -1, &prepared, nullptr);
  Statement statement(prepared);
  for (const auto& entry : log.List(database_id, std::numeric_limits<size_t>::max())) {
    if (statement == nullptr || !Insert(statement.get(), *entry)) return Failed(connection);
  }
  return absl::OkStatus();
}

}  // namespace sluice::query
