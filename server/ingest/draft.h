#ifndef SLUICE_SERVER_INGEST_DRAFT_H_
#define SLUICE_SERVER_INGEST_DRAFT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/ingest/outcome.h"
#include "server/lineprotocol/line.h"
#include "storage/store.h"

namespace sluice::ingest {

// How large a database's schema may grow (contract W-63).
struct Limits {
  size_t max_tables = 500;
  // In one table, the timestamp among them.
  size_t max_columns = 250;
  // On how many days (UTC) a request may have points, counted for each table: each becomes a block
  // of its own, however few its points are.
  size_t max_days = 20'000;
};

// Why a line was not taken.
struct Objection {
  Reason reason;
  std::string message;
  std::string column;
};

// The points of one request and the schema as they change it. Lines come in the order of the body,
// and each is judged by the schema that the database and the lines before it have made; the first
// accepted one fixes a column's type (contract W-60). A line is taken whole or leaves no trace
// (W-13). For one thread.
class Draft {
 public:
  Draft(std::shared_ptr<const storage::DatabaseSchema> schema, const Limits& limits);
  ~Draft();

  // Takes the line's point, or objects. `time_ns` is the point's timestamp in nanoseconds. Where
  // lines are numbered, all come from one reader.
  std::optional<Objection> Add(const lineprotocol::Line& line, int64_t time_ns);

  // All that was taken. The draft is empty afterwards.
  storage::WriteSet Finish();

 private:
  class Table;

  Table* FindTable(std::string_view name);
  std::optional<Objection> AddToNewTable(const lineprotocol::Line& line, int64_t time_ns);
  void Remember(const lineprotocol::Line& line, Table& table, uint32_t set);
  // Whether the table has points on that day, or may have some.
  bool MayBeOn(Table& table, int64_t time_ns);
  Objection TooManyDays(int64_t time_ns) const;

  const std::shared_ptr<const storage::DatabaseSchema> schema_;
  const Limits limits_;
  // By name: the database's own tables that lines have named, and the new ones with points.
  absl::flat_hash_map<std::string, std::unique_ptr<Table>> tables_;
  size_t new_tables_ = 0;
  // Of all tables.
  size_t days_ = 0;
  // By number, for the series of accepted lines: its table, and its tag set there.
  struct Series {
    Table* table = nullptr;
    uint32_t set = 0;
  };
  std::vector<Series> series_;
  // The table of the line before.
  Table* last_ = nullptr;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_DRAFT_H_
