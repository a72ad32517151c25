#include "server/ingest/table_judge.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "server/ingest/utf8.h"

namespace sluice::ingest {
namespace {

using storage::ColumnType;

constexpr std::string_view kTimeColumn = "time";
// A name as a message shows it.
std::string Shown(std::string_view name) {
  const std::string_view shown = CutUtf8(name, kMaxShownNameBytes);
  return IsUtf8(shown) ? std::string(shown) : "";
}

bool IsFinite(int64_t bits) { return std::isfinite(std::bit_cast<double>(bits)); }

}  // namespace

int64_t DayOf(int64_t time_ns) { return time_ns / kDayNs - (time_ns % kDayNs < 0 ? 1 : 0); }

void TableJudge::AddDay(int64_t time_ns) {
  days_.insert(DayOf(time_ns));
  RememberDay(DayOf(time_ns));
}

bool TableJudge::IsOn(int64_t time_ns) {
  if (time_ns >= day_begin_ns_ && time_ns <= day_end_ns_) return true;
  const int64_t day = DayOf(time_ns);
  if (!days_.contains(day)) return false;
  RememberDay(day);
  return true;
}

// Neither the first day nor the last is there as a whole.
void TableJudge::RememberDay(int64_t day) {
  constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();
  constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
  if (__builtin_mul_overflow(day, kDayNs, &day_begin_ns_)) day_begin_ns_ = kFirst;
  day_end_ns_ = day == DayOf(kLast) ? kLast : (day + 1) * kDayNs - 1;
}

std::optional<Objection> TableJudge::Judge(const Point& point) {
  ++point_;
  std::swap(tag_columns_, last_tag_columns_);
  std::swap(field_columns_, last_field_columns_);
  tag_columns_.clear();
  field_columns_.clear();
  new_columns_.clear();
  new_column_numbers_.clear();
  std::optional<Objection> objection = JudgeTags(point.tags);
  return objection ? objection : JudgeFields(point.fields);
}

std::optional<Objection> TableJudge::JudgeTags(std::span<const Tag> tags) {
  for (size_t i = 0; i < tags.size(); ++i) {
    std::string_view key = tags[i].key;
    tag_columns_.push_back(kDropped);
    if (tags[i].value.empty()) continue;
    if (std::optional<Objection> objection = JudgeName(key, "a tag's key")) return objection;
    if (std::optional<Objection> objection = JudgeTagValue(tags[i])) return objection;
    if (key == kTimeColumn) {
      return Objection{Reason::kReservedName, "a tag cannot be named 'time'", Shown(key)};
    }
    size_t column = Locate(key, ColumnType::kTag, last_tag_columns_, i);
    if (column == kTooMany) return TooManyColumns(key);
    if (TypeAt(column) != ColumnType::kTag) return Conflict(key, column, ColumnType::kTag);
    if (Claim(column, i)) {
      return Objection{Reason::kDuplicateTag,
                       fmt::format("the tag '{}' is specified more than once", Shown(key)),
                       Shown(key)};
    }
    tag_columns_[i] = column;
  }
  return std::nullopt;
}

std::optional<Objection> TableJudge::JudgeFields(std::span<const Field> fields) {
  size_t kept = 0;
  for (size_t i = 0; i < fields.size(); ++i) {
    std::string_view key = fields[i].key;
    field_columns_.push_back(kDropped);
    if (std::optional<Objection> objection = JudgeName(key, "a field's key")) return objection;
    if (std::optional<Objection> objection = JudgeValue(fields[i])) return objection;
    if (key == kTimeColumn) continue;
    ColumnType type = TypeOf(fields[i].type);
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
          Shown(key)};
    }
    if (!fits) return Conflict(key, column, type);
    // Of two values the last one counts (contract W-62).
    if (earlier) field_columns_[*earlier] = kDropped;
    field_columns_[i] = column;
    ++kept;
  }
  if (kept > 0) return std::nullopt;
  if (fields.empty()) return Objection{Reason::kNoFields, "No fields were provided", ""};
  return Objection{Reason::kNoFields, "the line has no field besides 'time', which is not stored",
                   std::string(kTimeColumn)};
}

std::optional<Objection> TableJudge::JudgeName(std::string_view name, std::string_view what) const {
  if (name.empty()) return Objection{Reason::kEmptyName, fmt::format("{} is empty", what), ""};
  if (name.size() > kMaxNameBytes) {
    return Objection{Reason::kValueTooLong, "String is greater than 64KB", Shown(name)};
  }
  if (check_utf8_ && !IsUtf8(name)) {
    return Objection{Reason::kNotUtf8, fmt::format("{} is not valid utf8", what), ""};
  }
  return std::nullopt;
}

std::optional<Objection> TableJudge::JudgeTagValue(const Tag& tag) const {
  if (tag.value.size() > kMaxNameBytes) {
    return Objection{Reason::kValueTooLong, "String is greater than 64KB", Shown(tag.key)};
  }
  if (IsText(tag.value, kMaxNameBytes)) return std::nullopt;
  return Objection{Reason::kNotUtf8,
                   fmt::format("the value of tag '{}' is not valid utf8", Shown(tag.key)),
                   Shown(tag.key)};
}

std::optional<Objection> TableJudge::JudgeValue(const Field& field) const {
  if (field.type == FieldType::kFloat && !IsFinite(field.bits)) {
    return Objection{Reason::kNumberOutOfRange,
                     fmt::format("field '{}' is no finite number", Shown(field.key)),
                     Shown(field.key)};
  }
  if (field.type != FieldType::kString) return std::nullopt;
  if (field.text.size() > kMaxStringBytes) {
    return Objection{Reason::kValueTooLong, "String is greater than 1MB", Shown(field.key)};
  }
  if (IsText(field.text, kMaxStringBytes)) return std::nullopt;
  return Objection{Reason::kNotUtf8,
                   fmt::format("the text of field '{}' is not valid utf8", Shown(field.key)),
                   Shown(field.key)};
}

bool TableJudge::IsText(std::string_view text, size_t max_bytes) const {
  return text.size() <= max_bytes && (!check_utf8_ || IsUtf8(text));
}

// Only what differs between points whose keys and types are known.
bool TableJudge::IsFine(std::span<const Field> fields) const {
  for (const Field& field : fields) {
    if (field.type == FieldType::kString && !IsText(field.text, kMaxStringBytes)) return false;
    if (field.type == FieldType::kFloat && !IsFinite(field.bits)) return false;
  }
  return true;
}

bool TableJudge::IsFine(std::span<const Tag> tags) const {
  for (const Tag& tag : tags) {
    // An empty one is no tag, and makes another set of keys.
    if (tag.value.empty() || !IsText(tag.value, kMaxNameBytes)) return false;
  }
  return true;
}

size_t TableJudge::Locate(std::string_view name, ColumnType type, const Places& before,
                          size_t place) {
  const std::vector<storage::Column>& columns = builder_.schema()->columns();
  if (place < before.size() && before[place] < columns.size() &&
      columns[before[place]].name == name) {
    return before[place];
  }
  if (std::optional<size_t> known = builder_.schema()->Find(name)) return *known;
  const size_t next = columns.size() + new_columns_.size();
  auto added = new_column_numbers_.find(name);
  if (added != new_column_numbers_.end()) return added->second;
  // Counted from the timestamp.
  if (1 + next >= limits_.max_columns) return kTooMany;
  new_column_numbers_.emplace(name, next);
  new_columns_.push_back({name, type});
  return next;
}

Objection TableJudge::TooManyColumns(std::string_view column_name) const {
  size_t count = 1 + builder_.schema()->columns().size() + new_columns_.size();
  return Objection{
      Reason::kColumnLimit,
      fmt::format("column '{}' would be one too many: table '{}' has {} columns, the limit is {}, "
                  "time included",
                  Shown(column_name), Shown(name()), count, limits_.max_columns),
      Shown(column_name)};
}

ColumnType TableJudge::TypeAt(size_t column) const {
  size_t known = builder_.schema()->columns().size();
  return column < known ? builder_.schema()->columns()[column].type
                        : new_columns_[column - known].type;
}

std::optional<size_t> TableJudge::Claim(size_t column, size_t value) {
  if (claimed_.size() <= column) claimed_.resize(column + 1);
  Claimed earlier = std::exchange(claimed_[column], {point_, value});
  return earlier.point == point_ ? std::optional(earlier.value) : std::nullopt;
}

Objection TableJudge::Conflict(std::string_view column_name, size_t column, ColumnType type) const {
  return Objection{
      Reason::kTypeConflict,
      fmt::format("field type conflict: column '{}' of table '{}' is {}, the line has {}",
                  Shown(column_name), Shown(name()), storage::Name(TypeAt(column)),
                  storage::Name(type)),
      Shown(column_name)};
}

uint32_t TableJudge::Take(const Point& point, int64_t time_ns) {
  builder_.Widen(new_columns_);
  const uint32_t set = builder_.AddSet(point.tags, tag_columns_);
  builder_.AddRow(set, time_ns, point.fields, field_columns_);
  shapes_.Add(point.shape, field_columns_);
  if (IsFine(point.tags)) tag_keys_.Add(point.tag_keys, tag_columns_);
  return set;
}

// A column's name, type and place are judged as those of one point that has a value in each; what
// differs between the values is looked at apart.
bool TableJudge::JudgeColumns(const PointColumns& columns) {
  sets_.Read(columns);
  used_tags_.clear();
  used_fields_.clear();
  std::vector<Tag> tags;
  std::vector<Field> fields;
  for (const TagColumn& tag : columns.tags) {
    const uint32_t value = sets_.AnyValueOf(tag);
    if (value == 0) continue;
    used_tags_.push_back(&tag);
    tags.push_back({tag.key, tag.texts[value - 1]});
  }
  for (const FieldColumn& field : columns.fields) {
    if (field.count == 0) continue;
    used_fields_.push_back(&field);
    fields.push_back({.key = field.key, .type = field.type});
  }
  if (Judge({.table = columns.table, .tags = tags, .fields = fields})) return false;
  return ValuesAreFine() && HasFieldInEachRow(columns);
}

bool TableJudge::ValuesAreFine() const {
  for (const TagColumn* tag : used_tags_) {
    for (std::string_view text : tag->texts) {
      if (!IsText(text, kMaxNameBytes)) return false;
    }
  }
  for (const FieldColumn* field : used_fields_) {
    for (std::string_view text : field->texts) {
      if (!IsText(text, kMaxStringBytes)) return false;
    }
    if (field->type != FieldType::kFloat) continue;
    bool finite = true;
    for (size_t i = 0; i < field->count; ++i) finite &= IsFinite(field->numbers[i]);
    if (!finite) return false;
  }
  return true;
}

bool TableJudge::HasFieldInEachRow(const PointColumns& columns) const {
  storage::Bitmap some;
  for (size_t i = 0; i < used_fields_.size(); ++i) {
    if (field_columns_[i] == kDropped) continue;
    if (used_fields_[i]->present.empty()) return true;
    some.SetWhere(0, used_fields_[i]->present);
  }
  size_t count = 0;
  for (uint64_t word : some.words()) count += static_cast<size_t>(std::popcount(word));
  return count == columns.rows;
}

void TableJudge::TakeColumns(std::span<const int64_t> times_ns) {
  builder_.Widen(new_columns_);
  builder_.AddRows(sets_, times_ns);
  for (size_t i = 0; i < used_tags_.size(); ++i) {
    builder_.AddTags(*used_tags_[i], sets_, tag_columns_[i]);
  }
  for (size_t i = 0; i < used_fields_.size(); ++i) {
    if (field_columns_[i] != kDropped) builder_.AddFields(*used_fields_[i], field_columns_[i]);
  }
}

bool TableJudge::TakeKnown(const Point& point, uint32_t set, int64_t time_ns) {
  const Places* fields = shapes_.Find(point.shape);
  if (fields == nullptr || !IsFine(point.fields)) return false;
  builder_.AddRow(set, time_ns, point.fields, *fields);
  return true;
}

std::optional<uint32_t> TableJudge::TakeKnownKeys(const Point& point, int64_t time_ns) {
  const Places* fields = shapes_.Find(point.shape);
  const Places* tags = tag_keys_.Find(point.tag_keys);
  if (fields == nullptr || tags == nullptr || !IsFine(point.fields) || !IsFine(point.tags)) {
    return std::nullopt;
  }
  const uint32_t set = builder_.AddSet(point.tags, *tags);
  builder_.AddRow(set, time_ns, point.fields, *fields);
  return set;
}

}  // namespace sluice::ingest
