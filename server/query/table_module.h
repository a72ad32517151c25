#ifndef SLUICE_SERVER_QUERY_TABLE_MODULE_H_
#define SLUICE_SERVER_QUERY_TABLE_MODULE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "storage/store.h"

struct sqlite3;

namespace sluice::query {

// The declared type of a column of times; see TypeOfDeclaration.
inline constexpr std::string_view kTimeDeclaration = "TEXT_TIME";

// A table of our own, see rejection_table.h.
inline constexpr std::string_view kRejectionTable = "sluice_rejections";

// What the virtual tables of one connection share.
struct TableSource {
  std::shared_ptr<const storage::Snapshot> snapshot;
  // The snapshot's, by name; AddTables fills it.
  std::vector<storage::TablePtr> tables;
  // Rows before this are expired.
  int64_t min_time_ns = 0;
  // See ScanSpec.
  std::function<bool()> should_stop;
  std::function<bool(int64_t)> charge;
  // The first error of storage's; SQLite itself knows only that there was one.
  absl::Status status;
};

// Gives `connection` a virtual table for each table of the snapshot that `sql` may name. `source`
// must outlive the connection. Of names that SQLite, which ignores their case, takes for one
// another all but the first get a suffix that makes them unique, such as `_2`; the same holds for
// columns. A NUL in a name is shown as U+2400.
absl::Status AddTables(sqlite3* connection, TableSource& source, std::string_view sql);

// The type of a column, by the type that its virtual table declared; empty for any other text.
std::string_view TypeOfDeclaration(std::string_view declared);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_TABLE_MODULE_H_
