#include "server/ingest/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/ingest/utf8.h"
#include "storage/timestamp.h"

namespace sluice::ingest {

using storage::TableSchema;

Judge::Judge(std::shared_ptr<const storage::DatabaseSchema> schema, const JudgeOptions& options)
    : schema_(std::move(schema)), options_(options) {}

void Judge::BeginSource(int64_t arrival_ns) {
  options_.arrival_ns = arrival_ns;
  ++source_;
  series_.clear();
  last_ = nullptr;
}

std::optional<Objection> Judge::Add(const Point& point) {
  const std::optional<int64_t> time_ns = point.timestamp
                                             ? ToNanoseconds(*point.timestamp, options_.precision)
                                             : Truncate(options_.arrival_ns, options_.precision);
  if (!time_ns) return Objection{Reason::kTimestampOutOfRange, "timestamp overflows i64", ""};
  if (*time_ns >= options_.min_time_ns) return AddAt(point, *time_ns);
  return Objection{
      Reason::kBeyondRetention,
      fmt::format("points beyond retention policy: timestamp {} is older than the minimum "
                  "acceptable {}",
                  storage::FormatTimestamp(*time_ns),
                  storage::FormatTimestamp(options_.min_time_ns)),
      ""};
}

std::optional<Objection> Judge::AddAt(const Point& point, int64_t time_ns) {
  // The common point: its series and the shape of its fields have been judged before.
  if (point.series < series_.size()) {
    const Series& known = series_[point.series];
    if (known.table != nullptr && known.table->IsOn(time_ns) &&
        known.table->TakeKnown(point, known.set, time_ns)) {
      return std::nullopt;
    }
  }
  TableJudge* table = FindTable(point.table);
  if (table == nullptr) return AddToNewTable(point, time_ns);
  if (table->IsOn(time_ns)) {
    if (std::optional<uint32_t> set = table->TakeKnownKeys(point, time_ns)) {
      Remember(point, *table, *set);
      return std::nullopt;
    }
  }
  std::optional<Objection> objection = table->Judge(point);
  if (!objection && !MayBeOn(*table, time_ns)) objection = TooManyDays(time_ns);
  if (!objection) Remember(point, *table, table->Take(point, time_ns));
  return objection;
}

bool Judge::MayBeOn(TableJudge& table, int64_t time_ns) {
  if (table.IsOn(time_ns)) return true;
  if (days_ == options_.limits.max_days) return false;
  table.AddDay(time_ns);
  ++days_;
  return true;
}

Objection Judge::TooManyDays(int64_t time_ns) const {
  return {Reason::kDayLimit,
          fmt::format("the request has points on {} days, counted for each table, and {} would be "
                      "on one too many; send it in another request",
                      days_, storage::FormatTimestamp(time_ns)),
          ""};
}

void Judge::Remember(const Point& point, TableJudge& table, uint32_t set) {
  if (point.series == kNoNumber) return;
  if (series_.size() <= point.series) series_.resize(point.series + 1);
  series_[point.series] = {&table, set};
}

// Null for a table that is neither the database's nor made by a point of the request.
TableJudge* Judge::FindTable(std::string_view name) {
  if (last_ != nullptr && last_->name() == name) return last_;
  auto found = tables_.find(absl::string_view(name.data(), name.size()));
  if (found != tables_.end()) {
    last_ = found->second.get();
    last_->BeginSource(source_);
    return last_;
  }
  storage::TablePtr schema = schema_->Find(name);
  if (schema == nullptr) return nullptr;
  auto table =
      std::make_unique<TableJudge>(std::move(schema), true, options_.check_utf8, options_.limits);
  return last_ = tables_.emplace(name, std::move(table)).first->second.get();
}

std::optional<Objection> Judge::JudgeTableName(std::string_view name) const {
  if (name.empty()) return Objection{Reason::kEmptyName, "the table's name is empty", ""};
  if (name.size() > kMaxNameBytes) {
    return Objection{Reason::kValueTooLong, "String is greater than 64KB", ""};
  }
  if (options_.check_utf8 && !IsUtf8(name)) {
    return Objection{Reason::kNotUtf8, "the table's name is not valid utf8", ""};
  }
  return std::nullopt;
}

std::optional<Objection> Judge::AddToNewTable(const Point& point, int64_t time_ns) {
  if (std::optional<Objection> objection = JudgeTableName(point.table)) return objection;
  size_t count = schema_->table_count() + new_tables_;
  if (count >= options_.limits.max_tables) {
    return Objection{
        Reason::kTableLimit,
        fmt::format("table '{}' would be one too many: the database has {} tables, the limit is {}",
                    CutUtf8(point.table, kMaxShownNameBytes), count, options_.limits.max_tables),
        ""};
  }
  std::unique_ptr<TableJudge> table = MakeTable(point.table);
  if (std::optional<Objection> objection = table->Judge(point)) return objection;
  if (!MayBeOn(*table, time_ns)) return TooManyDays(time_ns);
  const uint32_t set = table->Take(point, time_ns);
  last_ = tables_.emplace(point.table, std::move(table)).first->second.get();
  Remember(point, *last_, set);
  ++new_tables_;
  return std::nullopt;
}

// One that the database does not have.
std::unique_ptr<TableJudge> Judge::MakeTable(std::string_view name) const {
  auto schema = std::make_shared<TableSchema>(TableSchema::kNoId, std::string(name));
  return std::make_unique<TableJudge>(std::move(schema), false, options_.check_utf8,
                                      options_.limits);
}

bool Judge::AddColumns(const PointColumns& columns) {
  if (columns.rows == 0) return true;
  if (!ReadTimes(columns)) return false;
  TableJudge* table = FindTable(columns.table);
  std::unique_ptr<TableJudge> made;
  if (table == nullptr) {
    if (JudgeTableName(columns.table)) return false;
    if (schema_->table_count() + new_tables_ >= options_.limits.max_tables) return false;
    made = MakeTable(columns.table);
    table = made.get();
  }
  if (!table->JudgeColumns(columns) || !MayBeOnAll(*table)) return false;
  table->TakeColumns(times_ns_);
  if (made == nullptr) return true;
  last_ = tables_.emplace(columns.table, std::move(made)).first->second.get();
  ++new_tables_;
  return true;
}

// False where one of the times is not to be taken.
bool Judge::ReadTimes(const PointColumns& columns) {
  times_ns_.clear();
  if (columns.timestamps.empty()) {
    times_ns_.resize(columns.rows, Truncate(options_.arrival_ns, options_.precision));
  } else if (options_.precision == Precision::kNanosecond) {
    columns.timestamps.AppendTo(times_ns_);
  } else {
    for (size_t i = 0; i < columns.rows; ++i) {
      const std::optional<int64_t> time_ns =
          ToNanoseconds(columns.timestamps[i], options_.precision);
      if (!time_ns) return false;
      times_ns_.push_back(*time_ns);
    }
  }
  return *std::min_element(times_ns_.begin(), times_ns_.end()) >= options_.min_time_ns;
}

// As MayBeOn, of all times that were read, or of none.
bool Judge::MayBeOnAll(TableJudge& table) {
  // One of each day that the table does not have points on.
  std::vector<int64_t> days;
  for (int64_t time_ns : times_ns_) {
    if (table.IsOn(time_ns)) continue;
    if (days.empty() || DayOf(days.back()) != DayOf(time_ns)) days.push_back(time_ns);
  }
  std::sort(days.begin(), days.end());
  days.erase(std::unique(days.begin(), days.end(),
                         [](int64_t a, int64_t b) { return DayOf(a) == DayOf(b); }),
             days.end());
  if (days_ + days.size() > options_.limits.max_days) return false;
  for (int64_t time_ns : days) table.AddDay(time_ns);
  days_ += days.size();
  return true;
}

storage::WriteSet Judge::Finish() {
  storage::WriteSet write;
  write.judged_by = schema_;
  write.max_tables = options_.limits.max_tables;
  for (auto& [name, table] : tables_) {
    if (!table->empty()) write.batches.push_back(table->TakeBatch());
  }
  tables_.clear();
  series_.clear();
  last_ = nullptr;
  return write;
}

}  // namespace sluice::ingest
