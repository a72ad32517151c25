#include "server/typed/column_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "absl/container/flat_hash_set.h"
#include "server/ingest/bad_field.h"
#include "server/typed/row_source.h"
#include "storage/reason.h"

namespace sluice::typed {
namespace {

using ingest::BadField;
using ingest::FieldType;
using Type = WireField::Type;

// The alternatives of FieldColumn.values.
constexpr uint32_t kFloats = 3;
constexpr uint32_t kIntegers = 4;
constexpr uint32_t kUnsigneds = 5;
constexpr uint32_t kStrings = 6;
constexpr uint32_t kBooleans = 7;

// Of one table batch, its rows times its tags and fields: what it costs to judge is not told by its
// bytes.
constexpr uint64_t kMaxValues = 64'000'000;

constexpr char kRowsWithValue[] = "rows that have a value by row_count and validity";

FieldType TypeOf(uint32_t kind) {
  switch (kind) {
    case kIntegers:
      return FieldType::kInteger;
    case kUnsigneds:
      return FieldType::kUnsigned;
    case kStrings:
      return FieldType::kString;
    case kBooleans:
      return FieldType::kBoolean;
    default:
      return FieldType::kFloat;
  }
}

// How many bits of `bytes` are one; all of those from `count` on have to be zero.
size_t CountBits(std::string_view bytes) {
  size_t count = 0;
  for (char byte : bytes) count += static_cast<size_t>(std::popcount(static_cast<uint8_t>(byte)));
  return count;
}

absl::Status CheckBits(std::string_view bytes, size_t count, const std::string& path) {
  if (bytes.size() != (count + 7) / 8) {
    return BadField(path, fmt::format("has {} bytes, and {} bits take {}", bytes.size(), count,
                                      (count + 7) / 8));
  }
  if (count % 8 != 0 && static_cast<uint8_t>(bytes.back()) >> (count % 8) != 0) {
    return BadField(path, "has bits that are 1 behind the last");
  }
  return absl::OkStatus();
}

absl::Status CheckLength(size_t length, size_t expected, std::string_view of,
                         const std::string& path) {
  if (length == expected) return absl::OkStatus();
  return BadField(path, fmt::format("has {} entries, and there are {} {}", length, expected, of));
}

absl::Status CheckNumbers(storage::Packed<uint32_t> numbers, uint64_t end,
                          const std::string& path) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] < end) continue;
    return BadField(path, fmt::format("entry {} is {}, and the last there is is {}", i, numbers[i],
                                      static_cast<int64_t>(end) - 1));
  }
  return absl::OkStatus();
}

template <typename Column>
absl::Status CheckKeys(const std::vector<Column>& columns, const std::string& path) {
  absl::flat_hash_set<std::string_view> keys;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (keys.insert(columns[i].column.key).second) continue;
    return BadField(fmt::format("{}[{}].key", path, i), "is there twice");
  }
  return absl::OkStatus();
}

}  // namespace

size_t TableReader::BytesToRead(std::string_view message) {
  size_t bytes = 0;
  size_t columns = 0;
  WireReader table(message);
  while (table.Next() && columns <= kMaxKeys) {
    const WireField& field = table.field();
    if (field.type != Type::kBytes || (field.number != 6 && field.number != 7)) continue;
    ++columns;
    bytes += std::max(sizeof(Tag), sizeof(Field)) + sizeof(ingest::FieldColumn);
    // Every entry of a dictionary is a field of its own; strings and small integers are one deeper.
    WireReader column(field.bytes);
    while (column.Next()) {
      const WireField& part = column.field();
      bytes += sizeof(std::string_view);
      if (field.number != 7 || part.type != Type::kBytes) continue;
      if (part.number == kIntegers) bytes += sizeof(int64_t) * part.bytes.size();
      if (part.number != kStrings) continue;
      WireReader strings(part.bytes);
      while (strings.Next()) bytes += sizeof(std::string_view);
    }
  }
  // Vectors grow by doubling.
  return 3 * bytes;
}

absl::Status TableReader::Read(std::string_view message, const std::string& path) {
  columns_ = {};
  rows_ = sets_ = 0;
  timestamps_ = {};
  row_sets_ = {};
  tags_.clear();
  fields_.clear();
  tag_columns_.clear();
  field_columns_.clear();
  if (!ReadFields(message)) return BadField(path, "could not be parsed as a TableBatch");
  if (tags_.size() + fields_.size() > kMaxKeys) {
    return BadField(path, fmt::format("has more than {} tags and fields", kMaxKeys));
  }
  if (rows_ > kMaxBatchPoints) return TooManyPoints();
  if (rows_ * (tags_.size() + fields_.size()) > kMaxValues) {
    return storage::WithReason(
        absl::ResourceExhaustedError(fmt::format(
            "{}: {} rows of {} tags and fields are more than {} values; send it in several", path,
            rows_, tags_.size() + fields_.size(), kMaxValues)),
        "TOO_MANY_POINTS", {{"max_values", std::to_string(kMaxValues)}});
  }
  columns_.rows = rows_;
  columns_.timestamps = timestamps_.numbers();
  columns_.row_sets = row_sets_.numbers();
  columns_.sets = static_cast<uint32_t>(sets_);
  absl::Status status = CheckSets(path);
  if (status.ok()) status = CheckKeys(tags_, path + ".tags");
  if (status.ok()) status = CheckKeys(fields_, path + ".fields");
  for (size_t i = 0; i < tags_.size() && status.ok(); ++i) {
    status = CheckTag(tags_[i], fmt::format("{}.tags[{}]", path, i));
    tag_columns_.push_back(tags_[i].column);
  }
  for (size_t i = 0; i < fields_.size() && status.ok(); ++i) {
    status = CheckField(fields_[i], fmt::format("{}.fields[{}]", path, i));
    field_columns_.push_back(fields_[i].column);
  }
  columns_.tags = tag_columns_;
  columns_.fields = field_columns_;
  return status;
}

bool TableReader::ReadFields(std::string_view message) {
  WireReader reader(message);
  while (reader.Next() && tags_.size() + fields_.size() <= kMaxKeys) {
    const WireField& field = reader.field();
    if (field.Is(1, Type::kBytes)) columns_.table = field.bytes;
    // A uint32 takes the low bits, as all parsers do.
    if (field.Is(2, Type::kVarint)) rows_ = static_cast<uint32_t>(field.value);
    if (field.number == 3 && !timestamps_.Add(field)) return false;
    if (field.Is(4, Type::kVarint)) sets_ = static_cast<uint32_t>(field.value);
    if (field.number == 5 && !row_sets_.Add(field)) return false;
    if (field.Is(6, Type::kBytes) && !ReadTag(field.bytes, tags_.emplace_back())) return false;
    if (field.Is(7, Type::kBytes) && !ReadField(field.bytes, fields_.emplace_back())) return false;
  }
  return reader.ok();
}

bool TableReader::ReadTag(std::string_view message, Tag& tag) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(1, Type::kBytes)) tag.column.key = field.bytes;
    if (field.Is(2, Type::kBytes)) tag.texts.push_back(field.bytes);
    if (field.number == 3 && !tag.values.Add(field)) return false;
  }
  return reader.ok();
}

bool TableReader::ReadField(std::string_view message, Field& to) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    if (field.Is(1, Type::kBytes)) to.column.key = field.bytes;
    if (field.Is(2, Type::kBytes)) to.validity = field.bytes;
    const bool values = field.number >= kFloats && field.number <= kBooleans;
    if (values && field.type == Type::kBytes && !ReadValues(field, to)) return false;
  }
  return reader.ok();
}

// Of several alternatives the last one counts, as in every oneof.
bool TableReader::ReadValues(const WireField& values, Field& to) {
  if (to.kind != values.number) {
    Field other;
    other.column.key = to.column.key;
    other.validity = to.validity;
    to = std::move(other);
    to.kind = values.number;
  }
  WireReader reader(values.bytes);
  while (reader.Next()) {
    const WireField& field = reader.field();
    switch (to.kind) {
      case kFloats:
      case kUnsigneds:
        if (field.number == 1 && !to.numbers.Add(field)) return false;
        break;
      case kIntegers:
        if (field.number == 1 && !to.numbers.Add(field)) return false;
        if (field.number == 2 && !AddZigzags(field, to.compact)) return false;
        break;
      case kStrings:
        if (field.Is(1, Type::kBytes)) to.texts.push_back(field.bytes);
        if (field.number == 2 && !to.indexes.Add(field)) return false;
        break;
      case kBooleans:
        if (field.Is(1, Type::kVarint)) to.boolean_count = static_cast<uint32_t>(field.value);
        if (field.Is(2, Type::kBytes)) to.bits = field.bytes;
        break;
      default:
        break;
    }
  }
  return reader.ok();
}

// A count is believed only where something has as many entries.
absl::Status TableReader::CheckSets(const std::string& path) const {
  if (rows_ > 0 && columns_.timestamps.empty() && fields_.empty()) {
    return BadField(path + ".row_count", fmt::format("is {}, and no column has rows", rows_));
  }
  if (!columns_.timestamps.empty()) {
    absl::Status status =
        CheckLength(columns_.timestamps.size(), rows_, "rows by row_count", path + ".timestamps");
    if (!status.ok()) return status;
  }
  bool told_apart = sets_ <= 1 || sets_ == rows_;
  for (const Tag& tag : tags_) told_apart |= !tag.values.numbers().empty();
  if (!told_apart) {
    return BadField(path + ".tag_set_count",
                    fmt::format("is {}, and no tag has a value for each of them", sets_));
  }
  if (sets_ == 0 && !tags_.empty()) {
    return BadField(path + ".tag_set_count", "is 0, and there are tags");
  }
  if (!columns_.row_sets.empty()) {
    absl::Status status =
        CheckLength(columns_.row_sets.size(), rows_, "rows by row_count", path + ".row_tag_sets");
    if (!status.ok()) return status;
    return CheckNumbers(columns_.row_sets, sets_, path + ".row_tag_sets");
  }
  if (sets_ <= 1 || sets_ == rows_) return absl::OkStatus();
  return BadField(path + ".row_tag_sets",
                  fmt::format("is empty, and there are {} sets for {} rows", sets_, rows_));
}

absl::Status TableReader::CheckTag(Tag& tag, const std::string& path) const {
  tag.column.texts = tag.texts;
  tag.column.values = tag.values.numbers();
  if (tag.column.values.empty() && sets_ > 0) {
    return CheckLength(tag.texts.size(), 1, "value of all tag sets", path + ".dictionary");
  }
  absl::Status status = CheckLength(tag.column.values.size(), sets_, "tag sets", path + ".values");
  if (!status.ok()) return status;
  for (size_t i = 0; i < tag.column.values.size(); ++i) {
    if (tag.column.values[i] <= tag.texts.size()) continue;
    return BadField(path + ".values",
                    fmt::format("entry {} is {}, and the dictionary has {} values, counted from 1",
                                i, tag.column.values[i], tag.texts.size()));
  }
  return absl::OkStatus();
}

absl::Status TableReader::CheckField(Field& field, const std::string& path) const {
  field.column.count = rows_;
  if (!field.validity.empty()) {
    absl::Status status = CheckBits(field.validity, rows_, path + ".validity");
    if (!status.ok()) return status;
    field.column.count = CountBits(field.validity);
    // None is left out.
    if (field.column.count < rows_) field.column.present = storage::PackedBits(field.validity);
  }
  if (field.kind == 0 && field.column.count > 0) {
    return BadField(path + ".values",
                    "is not there; set one of floats, integers, unsigneds, strings and booleans");
  }
  field.column.type = TypeOf(field.kind);
  return CheckValues(field, path);
}

absl::Status TableReader::CheckValues(Field& field, const std::string& path) const {
  ingest::FieldColumn& column = field.column;
  switch (field.kind) {
    case kFloats:
    case kUnsigneds:
    case kIntegers: {
      column.numbers = field.numbers.numbers();
      const std::string values = path + (field.kind == kFloats      ? ".floats.values"
                                         : field.kind == kUnsigneds ? ".unsigneds.values"
                                                                    : ".integers.values");
      if (field.compact.empty()) {
        return CheckLength(column.numbers.size(), column.count, kRowsWithValue, values);
      }
      if (!column.numbers.empty()) {
        return BadField(path + ".integers.compact_values", "is there beside `values`");
      }
      column.numbers = storage::Packed<int64_t>(field.compact);
      return CheckLength(column.numbers.size(), column.count, kRowsWithValue,
                         path + ".integers.compact_values");
    }
    case kStrings: {
      column.texts = field.texts;
      column.text_numbers = field.indexes.numbers();
      if (column.text_numbers.empty()) {
        return CheckLength(field.texts.size(), column.count, kRowsWithValue,
                           path + ".strings.values");
      }
      absl::Status status = CheckLength(column.text_numbers.size(), column.count, kRowsWithValue,
                                        path + ".strings.indexes");
      if (!status.ok()) return status;
      return CheckNumbers(column.text_numbers, field.texts.size(), path + ".strings.indexes");
    }
    case kBooleans: {
      absl::Status status =
          CheckLength(field.boolean_count, column.count, kRowsWithValue, path + ".booleans.count");
      if (!status.ok()) return status;
      column.booleans = storage::PackedBits(field.bits);
      return CheckBits(field.bits, column.count, path + ".booleans.bits");
    }
    default:
      return absl::OkStatus();
  }
}

absl::Status ColumnSource::Rewind() {
  reader_ = WireReader(batch_);
  error_ = absl::OkStatus();
  next_table_ = points_ = 0;
  split_ = false;
  first_series_ = 0;
  return absl::OkStatus();
}

ingest::PointSource::Item ColumnSource::Next() {
  if (split_) {
    if (row_ < table_.columns().rows) {
      ReadRow();
      return Item::kPoint;
    }
    split_ = false;
    first_series_ += std::max(table_.columns().sets, 1u);
  }
  while (reader_.Next()) {
    if (!reader_.field().Is(1, Type::kBytes)) continue;
    message_ = reader_.field().bytes;
    ++next_table_;
    return Item::kColumns;
  }
  if (reader_.ok()) return Item::kEnd;
  error_ = BadField("columns", "could not be parsed as a ColumnBatch");
  return Item::kBroken;
}

absl::Status ColumnSource::ReadColumns() {
  absl::Status read = table_.Read(message_, fmt::format("columns.tables[{}]", next_table_ - 1));
  if (!read.ok()) return read;
  points_ += table_.columns().rows;
  return points_ <= kMaxBatchPoints ? absl::OkStatus() : TooManyPoints();
}

void ColumnSource::SplitColumns() {
  split_ = true;
  row_ = 0;
  tags_of_.reset();
  const auto& fields = table_.columns().fields;
  values_.assign(fields.size(), 0);
  const bool same_shape =
      std::all_of(fields.begin(), fields.end(), [](const auto& f) { return f.present.empty(); });
  // No other table has this one.
  shape_ = same_shape ? static_cast<uint32_t>(next_table_) : ingest::kNoNumber;
}

void ColumnSource::ReadRow() {
  const ingest::PointColumns& columns = table_.columns();
  const uint32_t set = columns.sets > 0 ? columns.set_of(row_) : 0;
  if (tags_of_ != set) {
    tags_of_ = set;
    tags_.clear();
    for (const ingest::TagColumn& tag : columns.tags) {
      if (const uint32_t value = tag.value(set); value > 0) {
        tags_.push_back({tag.key, tag.texts[value - 1]});
      }
    }
  }
  fields_.clear();
  for (size_t i = 0; i < columns.fields.size(); ++i) {
    const ingest::FieldColumn& column = columns.fields[i];
    if (!column.present.empty() && !column.present[row_]) continue;
    if (column.count == 0) continue;
    const size_t value = values_[i]++;
    ingest::Field& field =
        fields_.emplace_back(ingest::Field{.key = column.key, .type = column.type});
    if (column.type == FieldType::kString) {
      field.text = column.text(value);
    } else if (column.type == FieldType::kBoolean) {
      field.bits = column.booleans[value] ? 1 : 0;
    } else {
      field.bits = column.numbers[value];
    }
  }
  point_ = {.table = columns.table, .tags = tags_, .fields = fields_};
  point_.series = first_series_ + set;
  point_.shape = shape_;
  if (!columns.timestamps.empty()) point_.timestamp = columns.timestamps[row_];
  ++row_;
}

}  // namespace sluice::typed
