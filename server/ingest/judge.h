#ifndef SLUICE_SERVER_INGEST_JUDGE_H_
#define SLUICE_SERVER_INGEST_JUDGE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/ingest/limits.h"
#include "server/ingest/point.h"
#include "server/ingest/point_columns.h"
#include "server/ingest/precision.h"
#include "server/ingest/table_judge.h"
#include "storage/store.h"

namespace sluice::ingest {

// What a request's points are judged by, besides the schema.
struct JudgeOptions {
  Limits limits = {};
  // Of the timestamps.
  Precision precision = Precision::kNanosecond;
  // What a point without one gets, in nanoseconds, truncated to the precision (contract W-33).
  int64_t arrival_ns = 0;
  // Older points have expired (W-64).
  int64_t min_time_ns = std::numeric_limits<int64_t>::min();
  // Whether names and texts may be anything but UTF-8 (W-82).
  bool check_utf8 = true;
};

// Every rule about points, whatever format they came in: names, lengths, UTF-8, numbers, types,
// repeated keys, limits, time and retention. Nothing of it is in a PointSource, and nothing else
// judges points.
//
// Points come in the order of the request, and each is judged by the schema that the database and
// the points before it have made; the first that is taken fixes a column's type (contract W-60). A
// point is taken whole or leaves no trace (W-13). For one thread.
class Judge {
 public:
  Judge(std::shared_ptr<const storage::DatabaseSchema> schema, const JudgeOptions& options);

  // The points that follow are from another source: their numbers are others, and those without a
  // time get this one.
  void BeginSource(int64_t arrival_ns);

  // Takes a point, or objects.
  std::optional<Objection> Add(const Point& point);

  // Takes all points of `columns`, which it judges column by column, or does nothing, where one of
  // them may not be to be taken: then they have to come one by one.
  bool AddColumns(const PointColumns& columns);

  // All that was taken. Nothing is left afterwards.
  storage::WriteSet Finish();

 private:
  std::optional<Objection> AddAt(const Point& point, int64_t time_ns);
  TableJudge* FindTable(std::string_view name);
  std::optional<Objection> JudgeTableName(std::string_view name) const;
  std::optional<Objection> AddToNewTable(const Point& point, int64_t time_ns);
  std::unique_ptr<TableJudge> MakeTable(std::string_view name) const;
  bool ReadTimes(const PointColumns& columns);
  bool MayBeOnAll(TableJudge& table);
  void Remember(const Point& point, TableJudge& table, uint32_t set);
  // Whether the table has points on that day, or may have some.
  bool MayBeOn(TableJudge& table, int64_t time_ns);
  Objection TooManyDays(int64_t time_ns) const;

  const std::shared_ptr<const storage::DatabaseSchema> schema_;
  JudgeOptions options_;
  // By name: the database's own tables that points have named, and the new ones with points.
  absl::flat_hash_map<std::string, std::unique_ptr<TableJudge>> tables_;
  size_t new_tables_ = 0;
  // Of all tables.
  size_t days_ = 0;
  // By number, for the series of points that were taken: its table, and its tag set there.
  struct Series {
    TableJudge* table = nullptr;
    uint32_t set = 0;
  };
  std::vector<Series> series_;
  // The table of the point before.
  TableJudge* last_ = nullptr;
  // Which of the sources is gone through.
  uint64_t source_ = 0;
  // Of the columns being judged.
  std::vector<int64_t> times_ns_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_JUDGE_H_
