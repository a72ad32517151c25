#ifndef SLUICE_SERVER_INGEST_TABLE_JUDGE_H_
#define SLUICE_SERVER_INGEST_TABLE_JUDGE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "server/ingest/column_sets.h"
#include "server/ingest/limits.h"
#include "server/ingest/point.h"
#include "server/ingest/point_columns.h"
#include "server/ingest/table_builder.h"

namespace sluice::ingest {

inline constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;

// The day (UTC) of a time, counted from 1970.
int64_t DayOf(int64_t time_ns);

// The rules about the points of one table: their keys and values, what their columns are, on how
// many days they are. A point is judged first, which finds a column for each of its values, and
// then taken. For one thread.
class TableJudge {
 public:
  // `exists` says whether the database has the table without this request. Without `check_utf8`
  // all names and texts are known to be UTF-8. `limits` must outlive it.
  TableJudge(storage::TablePtr schema, bool exists, bool check_utf8, const Limits& limits)
      : exists_(exists), check_utf8_(check_utf8), limits_(limits), builder_(std::move(schema)) {}

  const std::string& name() const { return builder_.schema()->name(); }
  bool exists() const { return exists_; }
  bool empty() const { return builder_.empty(); }
  storage::TableBatch&& TakeBatch() { return builder_.Take(); }

  // The points that follow are from the source of that number; what points of others have been
  // numbered is forgotten.
  void BeginSource(uint64_t source) {
    if (std::exchange(source_, source) == source) return;
    shapes_ = {};
    tag_keys_ = {};
  }

  // Whether a point of that day (UTC) has been taken.
  bool IsOn(int64_t time_ns);
  void AddDay(int64_t time_ns);

  // Finds the columns of a point, or objects. Nothing is changed by it.
  std::optional<Objection> Judge(const Point& point);
  // Takes the point that was judged last. Returns the number of its tag set.
  uint32_t Take(const Point& point, int64_t time_ns);

  // What was taken once is taken again: a point of a tag set that there is and fields of a known
  // shape; one of known tag keys and fields of a known shape, which gets a new set. False or
  // nothing, with nothing done, where something is not known, or a value is not to be taken.
  bool TakeKnown(const Point& point, uint32_t set, int64_t time_ns);
  std::optional<uint32_t> TakeKnownKeys(const Point& point, int64_t time_ns);

  // Whether all points of `columns` can be taken together, as far as this judges them; false where
  // they are to be judged one by one. Nothing is changed by it.
  bool JudgeColumns(const PointColumns& columns);
  // Takes those that were judged last, which must still be there. `times_ns` are those of the rows.
  void TakeColumns(std::span<const int64_t> times_ns);

 private:
  bool ValuesAreFine() const;
  bool HasFieldInEachRow(const PointColumns& columns) const;
  std::optional<Objection> JudgeTags(std::span<const Tag> tags);
  std::optional<Objection> JudgeFields(std::span<const Field> fields);
  std::optional<Objection> JudgeName(std::string_view name, std::string_view what) const;
  std::optional<Objection> JudgeValue(const Field& field) const;
  std::optional<Objection> JudgeTagValue(const Tag& tag) const;
  bool IsFine(std::span<const Field> fields) const;
  bool IsFine(std::span<const Tag> tags) const;
  bool IsText(std::string_view text, size_t max_bytes) const;
  void RememberDay(int64_t day);
  // The column for a value. Columns that the point adds count on after those of the schema.
  // kTooMany where it would be one over the limit, so that a point of very many names is soon
  // refused.
  size_t Locate(std::string_view name, storage::ColumnType type, const Places& before,
                size_t place);
  storage::ColumnType TypeAt(size_t column) const;
  // Which value of the point has the column; nothing if none had it before. Remembers `value`.
  std::optional<size_t> Claim(size_t column, size_t value);
  Objection Conflict(std::string_view name, size_t column, storage::ColumnType type) const;
  Objection TooManyColumns(std::string_view column_name) const;

  const bool exists_;
  const bool check_utf8_;
  const Limits& limits_;
  TableBuilder builder_;

  // Days since 1970.
  absl::flat_hash_set<int64_t> days_;
  // The first and the last moment of the day of the last point, which is one of them; none at
  // first.
  int64_t day_begin_ns_ = 1;
  int64_t day_end_ns_ = 0;

  // About the point being judged: the column of each tag and each field, and the columns it adds.
  static constexpr size_t kTooMany = kDropped;
  Places tag_columns_;
  Places field_columns_;
  std::vector<TableBuilder::NewColumn> new_columns_;
  absl::flat_hash_map<std::string_view, size_t> new_column_numbers_;
  // The same of the point before, as a guess.
  Places last_tag_columns_;
  Places last_field_columns_;

  // For each column, the last point that has it and where.
  struct Claimed {
    uint64_t point = 0;
    size_t value = 0;
  };
  std::vector<Claimed> claimed_;
  uint64_t point_ = 0;

  // Columns by a number that points have: those of the fields of points that were taken, by shape,
  // and of their tags, by keys.
  class KnownPlaces {
   public:
    // Null where the number is not known.
    const Places* Find(uint32_t number) {
      if (number == last_ && last_places_ != nullptr) return last_places_;
      auto found = places_.find(number);
      if (found == places_.end()) return nullptr;
      last_ = number;
      return last_places_ = found->second.get();
    }
    void Add(uint32_t number, const Places& places) {
      if (number == kNoNumber) return;
      places_.try_emplace(number, std::make_unique<Places>(places));
    }

   private:
    absl::flat_hash_map<uint32_t, std::unique_ptr<Places>> places_;
    uint32_t last_ = kNoNumber;
    const Places* last_places_ = nullptr;
  };
  // About the columns being judged: their tag sets, and those columns that have values.
  ColumnSets sets_;
  std::vector<const TagColumn*> used_tags_;
  std::vector<const FieldColumn*> used_fields_;

  uint64_t source_ = 0;
  KnownPlaces shapes_;
  KnownPlaces tag_keys_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_TABLE_JUDGE_H_
