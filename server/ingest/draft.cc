#include "server/ingest/draft.h"

#include <fmt/format.h>

#include <span>

#include "absl/container/flat_hash_set.h"
#include "storage/timestamp.h"

namespace sluice::ingest {
namespace {

using lineprotocol::Field;
using lineprotocol::FieldType;
using lineprotocol::Line;
using lineprotocol::Tag;
using storage::ColumnType;
using storage::TableSchema;

constexpr std::string_view kTimeColumn = "time";
constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;

ColumnType TypeOf(const Field& field) {
  switch (field.type) {
    case FieldType::kFloat:
      return ColumnType::kFloat;
    case FieldType::kInteger:
      return ColumnType::kInteger;
    case FieldType::kUnsigned:
      return ColumnType::kUnsigned;
    case FieldType::kString:
      return ColumnType::kString;
    case FieldType::kBoolean:
      return ColumnType::kBoolean;
  }
  return ColumnType::kFloat;
}

// A name as a message shows it.
std::string_view Shown(std::string_view name) {
  return lineprotocol::CutUtf8(name, kMaxShownNameBytes);
}

}  // namespace

// The request's points of one table. A line is judged first, which finds a column for each of its
// values, and then appended, which cannot fail.
class Draft::Table {
 public:
  Table(storage::TablePtr schema, bool exists, const Limits& limits)
      : exists_(exists), limits_(limits), schema_(std::move(schema)), batch_(schema_) {}

  const std::string& name() const { return schema_->name(); }
  // Whether the database has the table without this request.
  bool exists() const { return exists_; }
  bool empty() const { return batch_.row_count() == 0; }
  bool changed() const { return !exists_ || widened_; }
  const storage::TablePtr& schema() const { return schema_; }
  storage::TableBatch&& TakeBatch() { return std::move(batch_); }

  std::optional<Objection> Judge(const Line& line);
  // Returns the number of the line's tag set in the batch.
  uint32_t Append(const Line& line, int64_t time_ns);

  // Whether a point of that day has been accepted.
  bool IsOn(int64_t time_ns);
  void AddDay(int64_t time_ns) {
    days_.insert(DayOf(time_ns));
    last_day_ns_ = DayOf(time_ns) * kDayNs;
  }

  // What was accepted once is accepted again: a line of a tag set that the batch has and of fields
  // of a known shape; a line of known tag keys and fields of a known shape, which gets a new set.
  // Both append without judging; false or nothing, with nothing done, where something is not known.
  bool AppendKnown(const Line& line, uint32_t set, int64_t time_ns);
  std::optional<uint32_t> AppendKnownKeys(const Line& line, int64_t time_ns);

 private:
  struct NewColumn {
    std::string_view name;
    ColumnType type;
  };
  // Columns, by the place of their values in a line.
  using Places = std::vector<size_t>;

  std::optional<Objection> JudgeTags(std::span<const Tag> tags);
  std::optional<Objection> JudgeFields(std::span<const Field> fields);
  // The column for a value. Columns that the line adds count on after those of the schema. kTooMany
  // where it would be one over the limit, so that a line of very many names is soon refused.
  size_t Locate(std::string_view name, ColumnType type, const Places& before, size_t place);
  ColumnType TypeAt(size_t column) const;
  // Which value of the line has the column; nothing if none had it before. Remembers `value`.
  std::optional<size_t> Claim(size_t column, size_t value);
  std::optional<Objection> Conflict(std::string_view name, size_t column, ColumnType type) const;
  std::optional<Objection> TooManyColumns(std::string_view column_name) const;
  void AddNewColumns();
  uint32_t AppendSet(const Line& line, const Places& columns);
  void AppendRow(const Line& line, uint32_t set, int64_t time_ns, const Places& columns);

  const bool exists_;
  const Limits& limits_;
  // Replaced, never changed, when a line adds columns.
  storage::TablePtr schema_;
  bool widened_ = false;
  storage::TableBatch batch_;

  // Days since 1970.
  static int64_t DayOf(int64_t time_ns) {
    return (time_ns >= 0 ? time_ns : time_ns - (kDayNs - 1)) / kDayNs;
  }

  absl::flat_hash_set<int64_t> days_;
  // When the day of the last point began; it is one of them.
  int64_t last_day_ns_ = 0;

  // About the line being judged: the column of each tag and each field, kDropped for a field that
  // is left out; the columns it adds.
  static constexpr size_t kDropped = ~size_t{0};
  static constexpr size_t kTooMany = kDropped;
  Places tag_columns_;
  Places field_columns_;
  std::vector<NewColumn> new_columns_;
  absl::flat_hash_map<std::string_view, size_t> new_column_numbers_;
  // The same of the line before, as a guess.
  Places last_tag_columns_;
  Places last_field_columns_;

  // For each column, the last line that has it and where.
  struct Claimed {
    uint64_t line = 0;
    size_t value = 0;
  };
  std::vector<Claimed> claimed_;
  uint64_t line_ = 0;

  // Columns by a number that lines have: those of the fields of accepted lines, by shape, and of
  // their tags, by keys.
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
      if (number == lineprotocol::kNoNumber) return;
      places_.try_emplace(number, std::make_unique<Places>(places));
    }

   private:
    absl::flat_hash_map<uint32_t, std::unique_ptr<Places>> places_;
    uint32_t last_ = lineprotocol::kNoNumber;
    const Places* last_places_ = nullptr;
  };
  KnownPlaces shapes_;
  KnownPlaces tag_keys_;
};

bool Draft::Table::IsOn(int64_t time_ns) {
  const uint64_t into_day = static_cast<uint64_t>(time_ns) - static_cast<uint64_t>(last_day_ns_);
  if (into_day < kDayNs && !days_.empty()) return true;
  const int64_t day = DayOf(time_ns);
  if (!days_.contains(day)) return false;
  last_day_ns_ = day * kDayNs;
  return true;
}

std::optional<Objection> Draft::Table::Judge(const Line& line) {
  ++line_;
  std::swap(tag_columns_, last_tag_columns_);
  std::swap(field_columns_, last_field_columns_);
  tag_columns_.clear();
  field_columns_.clear();
  new_columns_.clear();
  new_column_numbers_.clear();
  std::optional<Objection> objection = JudgeTags(line.tags);
  return objection ? objection : JudgeFields(line.fields);
}

std::optional<Objection> Draft::Table::JudgeTags(std::span<const Tag> tags) {
  for (size_t i = 0; i < tags.size(); ++i) {
    std::string_view key = tags[i].key;
    if (key == kTimeColumn) {
      return Objection{Reason::kReservedName, "a tag cannot be named 'time'",
                       std::string(Shown(key))};
    }
    size_t column = Locate(key, ColumnType::kTag, last_tag_columns_, i);
    if (column == kTooMany) return TooManyColumns(key);
    if (TypeAt(column) != ColumnType::kTag) return Conflict(key, column, ColumnType::kTag);
    if (Claim(column, i)) {
      return Objection{Reason::kDuplicateTag,
                       fmt::format("the tag '{}' is specified more than once", Shown(key)),
                       std::string(Shown(key))};
    }
    tag_columns_.push_back(column);
  }
  return std::nullopt;
}

std::optional<Objection> Draft::Table::JudgeFields(std::span<const Field> fields) {
  size_t kept = 0;
  for (size_t i = 0; i < fields.size(); ++i) {
    std::string_view key = fields[i].key;
    field_columns_.push_back(kDropped);
    if (key == kTimeColumn) continue;
    ColumnType type = TypeOf(fields[i]);
    size_t column = Locate(key, type, last_field_columns_, i);
    if (column == kTooMany) return TooManyColumns(key);
    bool fits = TypeAt(column) == type;
    bool is_tag = TypeAt(column) == ColumnType::kTag;
    std::optional<size_t> earlier = is_tag ? std::nullopt : Claim(column, i);
    if (earlier && !fits) {
      return Objection{
          Reason::kDuplicateField,
          fmt::format("the field '{}' is specified more than once, with different types",
                      Shown(key)),
          std::string(Shown(key))};
    }
    if (!fits) return Conflict(key, column, type);
    // Of two values the last one counts (contract W-62).
    if (earlier) field_columns_[*earlier] = kDropped;
    field_columns_[i] = column;
    ++kept;
  }
  if (kept > 0) return std::nullopt;
  return Objection{Reason::kNoFields, "the line has no field besides 'time', which is not stored",
                   std::string(kTimeColumn)};
}

size_t Draft::Table::Locate(std::string_view name, ColumnType type, const Places& before,
                            size_t place) {
  const std::vector<storage::Column>& columns = schema_->columns();
  if (place < before.size() && before[place] < columns.size() &&
      columns[before[place]].name == name) {
    return before[place];
  }
  if (std::optional<size_t> known = schema_->Find(name)) return *known;
  const size_t next = columns.size() + new_columns_.size();
  auto added = new_column_numbers_.find(name);
  if (added != new_column_numbers_.end()) return added->second;
  // Counted from the timestamp.
  if (1 + next >= limits_.max_columns) return kTooMany;
  new_column_numbers_.emplace(name, next);
  new_columns_.push_back({name, type});
  return next;
}

std::optional<Objection> Draft::Table::TooManyColumns(std::string_view column_name) const {
  size_t count = 1 + schema_->columns().size() + new_columns_.size();
  return Objection{
      Reason::kColumnLimit,
      fmt::format("column '{}' would be one too many: table '{}' has {} columns, the limit is {}, "
                  "time included",
                  Shown(column_name), Shown(name()), count, limits_.max_columns),
      std::string(Shown(column_name))};
}

ColumnType Draft::Table::TypeAt(size_t column) const {
  size_t known = schema_->columns().size();
  return column < known ? schema_->columns()[column].type : new_columns_[column - known].type;
}

std::optional<size_t> Draft::Table::Claim(size_t column, size_t value) {
  if (claimed_.size() <= column) claimed_.resize(column + 1);
  Claimed earlier = std::exchange(claimed_[column], {line_, value});
  return earlier.line == line_ ? std::optional(earlier.value) : std::nullopt;
}

std::optional<Objection> Draft::Table::Conflict(std::string_view column_name, size_t column,
                                                ColumnType type) const {
  return Objection{
      Reason::kTypeConflict,
      fmt::format("field type conflict: column '{}' of table '{}' is {}, the line has {}",
                  Shown(column_name), Shown(name()), storage::Name(TypeAt(column)),
                  storage::Name(type)),
      std::string(Shown(column_name))};
}

uint32_t Draft::Table::Append(const Line& line, int64_t time_ns) {
  AddNewColumns();
  const uint32_t set = AppendSet(line, tag_columns_);
  AppendRow(line, set, time_ns, field_columns_);
  shapes_.Add(line.shape, field_columns_);
  tag_keys_.Add(line.tag_keys, tag_columns_);
  return set;
}

bool Draft::Table::AppendKnown(const Line& line, uint32_t set, int64_t time_ns) {
  const Places* fields = shapes_.Find(line.shape);
  if (fields == nullptr) return false;
  AppendRow(line, set, time_ns, *fields);
  return true;
}

std::optional<uint32_t> Draft::Table::AppendKnownKeys(const Line& line, int64_t time_ns) {
  const Places* fields = shapes_.Find(line.shape);
  const Places* tags = tag_keys_.Find(line.tag_keys);
  if (fields == nullptr || tags == nullptr) return std::nullopt;
  const uint32_t set = AppendSet(line, *tags);
  AppendRow(line, set, time_ns, *fields);
  return set;
}

uint32_t Draft::Table::AppendSet(const Line& line, const Places& columns) {
  const uint32_t set = batch_.AddSet();
  for (size_t i = 0; i < line.tags.size(); ++i) batch_.AddTag(columns[i], line.tags[i].value);
  return set;
}

void Draft::Table::AppendRow(const Line& line, uint32_t set, int64_t time_ns,
                             const Places& columns) {
  batch_.AddRow(set, time_ns);
  for (size_t i = 0; i < line.fields.size(); ++i) {
    const Field& field = line.fields[i];
    if (columns[i] == kDropped) continue;
    if (field.type == FieldType::kString) {
      batch_.AddString(columns[i], field.text);
    } else {
      batch_.AddNumber(columns[i], field.bits);
    }
  }
}

void Draft::Table::AddNewColumns() {
  if (new_columns_.empty()) return;
  auto wider = std::make_shared<TableSchema>(*schema_);
  for (const NewColumn& column : new_columns_) wider->Add(column.name, column.type);
  schema_ = std::move(wider);
  batch_.set_table(schema_);
  widened_ = true;
}

Draft::Draft(std::shared_ptr<const storage::DatabaseSchema> schema, const Limits& limits)
    : schema_(std::move(schema)), limits_(limits) {}

Draft::~Draft() = default;

std::optional<Objection> Draft::Add(const Line& line, int64_t time_ns) {
  // The common line: its series and the shape of its fields have been judged before.
  if (line.series < series_.size()) {
    const Series& known = series_[line.series];
    if (known.table != nullptr && known.table->IsOn(time_ns) &&
        known.table->AppendKnown(line, known.set, time_ns)) {
      return std::nullopt;
    }
  }
  Table* table = FindTable(line.measurement);
  if (table == nullptr) return AddToNewTable(line, time_ns);
  if (table->IsOn(time_ns)) {
    if (std::optional<uint32_t> set = table->AppendKnownKeys(line, time_ns)) {
      Remember(line, *table, *set);
      return std::nullopt;
    }
  }
  std::optional<Objection> objection = table->Judge(line);
  if (!objection && !MayBeOn(*table, time_ns)) objection = TooManyDays(time_ns);
  if (!objection) Remember(line, *table, table->Append(line, time_ns));
  return objection;
}

bool Draft::MayBeOn(Table& table, int64_t time_ns) {
  if (table.IsOn(time_ns)) return true;
  if (days_ == limits_.max_days) return false;
  table.AddDay(time_ns);
  ++days_;
  return true;
}

Objection Draft::TooManyDays(int64_t time_ns) const {
  return {Reason::kDayLimit,
          fmt::format("the request has points on {} days, counted for each table, and {} would be "
                      "on one too many; send it in another request",
                      days_, storage::FormatTimestamp(time_ns)),
          ""};
}

void Draft::Remember(const Line& line, Table& table, uint32_t set) {
  if (line.series == lineprotocol::kNoNumber) return;
  if (series_.size() <= line.series) series_.resize(line.series + 1);
  series_[line.series] = {&table, set};
}

// Null for a table that is neither the database's nor made by an accepted line of the request.
Draft::Table* Draft::FindTable(std::string_view name) {
  if (last_ != nullptr && last_->name() == name) return last_;
  auto found = tables_.find(absl::string_view(name.data(), name.size()));
  if (found != tables_.end()) return last_ = found->second.get();
  storage::TablePtr schema = schema_->Find(name);
  if (schema == nullptr) return nullptr;
  auto table = std::make_unique<Table>(std::move(schema), true, limits_);
  return last_ = tables_.emplace(name, std::move(table)).first->second.get();
}

std::optional<Objection> Draft::AddToNewTable(const Line& line, int64_t time_ns) {
  size_t count = schema_->table_count() + new_tables_;
  if (count >= limits_.max_tables) {
    return Objection{
        Reason::kTableLimit,
        fmt::format("table '{}' would be one too many: the database has {} tables, the limit is {}",
                    Shown(line.measurement), count, limits_.max_tables),
        ""};
  }
  // The id is given out when all new tables are known.
  auto schema = std::make_shared<TableSchema>(0, std::string(line.measurement));
  auto table = std::make_unique<Table>(std::move(schema), false, limits_);
  std::optional<Objection> objection = table->Judge(line);
  if (objection) return objection;
  if (!MayBeOn(*table, time_ns)) return TooManyDays(time_ns);
  const uint32_t set = table->Append(line, time_ns);
  last_ = tables_.emplace(line.measurement, std::move(table)).first->second.get();
  Remember(line, *last_, set);
  ++new_tables_;
  return std::nullopt;
}

storage::WriteSet Draft::Finish() {
  storage::WriteSet write;
  write.schema_version = schema_->version();
  uint32_t next_id = schema_->next_table_id();
  for (auto& [name, table] : tables_) {
    if (table->empty()) continue;
    storage::TablePtr schema = table->schema();
    if (!table->exists()) schema = std::make_shared<TableSchema>(schema->WithId(next_id++));
    if (table->changed()) write.changed_tables.push_back(schema);
    write.batches.push_back(table->TakeBatch());
    write.batches.back().set_table(schema);
  }
  tables_.clear();
  series_.clear();
  last_ = nullptr;
  return write;
}

}  // namespace sluice::ingest
