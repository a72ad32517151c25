#include "client/batch_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "server/ingest/utf8.h"
#include "server/lineprotocol/line_reader.h"

namespace sluice::client {
namespace {

// Tags and fields that the server takes in one table of a batch, and values.
constexpr size_t kMaxKeys = 4096;
constexpr size_t kMaxValues = 64'000'000;
// What finding a tag's value or a tag set again takes, its place in a hash map included.
constexpr size_t kIndexEntryBytes = 80;
// Integers within this take at most four bytes, which is less than eight for the network and no
// more to do for the server.
constexpr int64_t kSmall = int64_t{1} << 27;
// What a column or a text has beside its own bytes on the wire, roughly.
constexpr size_t kOverhead = 8;

constexpr size_t kFloat = 0;
constexpr size_t kInteger = 1;
constexpr size_t kUnsigned = 2;
constexpr size_t kBoolean = 3;
constexpr size_t kString = 4;
using AnyValue = std::variant<double, int64_t, uint64_t, bool, std::string_view>;
static_assert(std::is_base_of_v<AnyValue, FieldValue>);

void SetBit(std::string& bits, size_t position) {
  if (bits.size() <= position / 8) bits.resize(position / 8 + 1);
  bits[position / 8] = static_cast<char>(bits[position / 8] | 1 << position % 8);
}

// The first `count` are set.
void SetFirst(std::string& bits, size_t count) {
  bits.assign(count / 8, '\xff');
  if (count % 8 != 0) bits.push_back(static_cast<char>((1 << count % 8) - 1));
}

void Compact(v1::FieldColumn::Integers& integers) {
  const auto is_small = [](int64_t value) { return -kSmall < value && value < kSmall; };
  if (!std::all_of(integers.values().begin(), integers.values().end(), is_small)) return;
  integers.mutable_compact_values()->Reserve(integers.values_size());
  for (int64_t value : integers.values()) {
    integers.mutable_compact_values()->AddAlreadyReserved(value);
  }
  integers.clear_values();
}

}  // namespace

const SealedBatch::Lines* SealedBatch::LinesOf(size_t index) const {
  const auto after = std::upper_bound(lines.begin(), lines.end(), index,
                                      [](size_t i, const Lines& l) { return i < l.first_point; });
  return after == lines.begin() ? nullptr : &*std::prev(after);
}

uint64_t SealedBatch::CookieOf(size_t index) const {
  if (kind == Kind::kColumns) return index < cookies.size() ? cookies[index] : 0;
  const Lines* of = LinesOf(index);
  return of == nullptr ? 0 : of->cookie;
}

int64_t SealedBatch::LineIn(size_t index, int64_t line) const {
  const Lines* of = LinesOf(index);
  return of == nullptr ? line : line - of->lines_before;
}

std::vector<uint64_t> SealedBatch::AllCookies() const {
  if (kind == Kind::kColumns) return cookies;
  std::vector<uint64_t> all;
  all.reserve(point_count);
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t end = i + 1 < lines.size() ? lines[i + 1].first_point : point_count;
    all.resize(end, lines[i].cookie);
  }
  return all;
}

// All but the keys of the fields, which are mostly those of the row before.
absl::Status BatchBuilder::CheckValues(const Series::Names& names,
                                       std::span<const FieldView> fields) {
  if (fields.empty()) return absl::InvalidArgumentError("a point has one field at least");
  const size_t keys = names.tags.size() + fields.size();
  if (keys > kMaxKeys) {
    return absl::InvalidArgumentError(
        fmt::format("a point has at most {} tags and fields together, not {}", kMaxKeys, keys));
  }
  for (const FieldView& field : fields) {
    const double* number = std::get_if<kFloat>(&field.value);
    if (number != nullptr && !std::isfinite(*number)) {
      return absl::InvalidArgumentError(
          fmt::format("the field '{}' is not a finite number", field.key));
    }
  }
  return absl::OkStatus();
}

absl::Status BatchBuilder::CheckKeys(std::span<const FieldView> fields) {
  absl::flat_hash_set<std::string_view> keys;
  for (const FieldView& field : fields) {
    if (field.key.empty()) return absl::InvalidArgumentError("a field has an empty key");
    if (!keys.insert(field.key).second) {
      return absl::InvalidArgumentError(fmt::format("the field '{}' is there twice", field.key));
    }
  }
  return absl::OkStatus();
}

absl::Status BatchBuilder::Check(const Series& series, std::span<const FieldView> fields) {
  const absl::Status sound = CheckValues(*series.names_, fields);
  return sound.ok() ? CheckKeys(fields) : sound;
}

absl::Status BatchBuilder::Add(const Series& series, int64_t time_ns,
                               std::span<const FieldView> fields, uint64_t cookie) {
  const std::shared_ptr<const Series::Names>& names = series.names_;
  absl::Status sound = CheckValues(*names, fields);
  if (!sound.ok()) return sound;
  if (last_ == nullptr || last_->wire->table() != names->table) {
    const auto found = current_.find(names->table);
    last_ = found == current_.end() ? nullptr : found->second;
  }
  const bool has_last_columns = last_ != nullptr && HasLastColumns(*last_, fields);
  if (!has_last_columns) {
    sound = CheckKeys(fields);
    if (!sound.ok()) return sound;
  }
  std::optional<uint32_t> set;
  bool has_room = false;
  if (last_ != nullptr) {
    const auto found = last_->sets.find(names.get());
    if (found != last_->sets.end()) set = found->second;
    has_room = HasRoom(*last_, set ? std::span<const TagText>() : names->tags,
                       has_last_columns ? std::span<const FieldView>() : fields) &&
               (has_last_columns || FindColumns(*last_, fields));
  }
  if (!has_room) {
    set.reset();
    last_ = &BeginTable(names->table);
    FindColumns(*last_, fields);
  }
  Table& table = *last_;
  if (!set) set = AddSet(table, names);
  table.wire->add_row_tag_sets(*set);
  table.wire->add_timestamps(time_ns);
  for (size_t i = 0; i < fields.size(); ++i)
    AddValue(table, table.columns[table.last_columns[i]], fields[i]);
  table.cookies.push_back(cookie);
  bytes_ += sizeof(int64_t) + sizeof(uint32_t) + table.columns.size() / 8 + 1;
  ++point_count_;
  return absl::OkStatus();
}

BatchBuilder::Table& BatchBuilder::BeginTable(const std::string& name) {
  Table& table = tables_.emplace_back();
  table.wire = wire_.add_tables();
  table.wire->set_table(name);
  bytes_ += name.size() + 4 * kOverhead;
  current_[table.wire->table()] = &table;
  return table;
}

// Whether a row goes into the table: as the server takes it, and without much that is only there
// for the rows before. The tags and fields are those that the table may not have.
bool BatchBuilder::HasRoom(const Table& table, std::span<const TagText> tags,
                           std::span<const FieldView> fields) {
  size_t new_tags = 0;
  for (const TagText& tag : tags) new_tags += table.tag_numbers.contains(tag.first) ? 0 : 1;
  size_t new_columns = 0;
  for (const FieldView& field : fields) {
    new_columns += table.column_numbers.contains(field.key) ? 0 : 1;
  }
  const size_t keys = table.key_count() + new_tags + new_columns;
  const size_t backfill =
      new_tags * table.held.size() * sizeof(uint32_t) + new_columns * table.row_count() / 8;
  return keys <= kMaxKeys && (table.row_count() + 1) * keys <= kMaxValues &&
         backfill <= kMaxBackfillBytes;
}

bool BatchBuilder::HasLastColumns(const Table& table, std::span<const FieldView> fields) {
  if (table.last_columns.size() != fields.size()) return false;
  for (size_t i = 0; i < fields.size(); ++i) {
    const Column& column = table.columns[table.last_columns[i]];
    if (column.kind != fields[i].value.index() || column.wire->key() != fields[i].key) return false;
  }
  return true;
}

bool BatchBuilder::FindColumns(Table& table, std::span<const FieldView> fields) {
  table.last_columns.clear();
  for (const FieldView& field : fields) {
    const auto found = table.column_numbers.find(field.key);
    if (found == table.column_numbers.end()) {
      table.last_columns.push_back(AddColumn(table, field));
    } else if (table.columns[found->second].kind == field.value.index()) {
      table.last_columns.push_back(found->second);
    } else {
      return false;
    }
  }
  return true;
}

size_t BatchBuilder::AddColumn(Table& table, const FieldView& field) {
  const size_t number = table.columns.size();
  Column& column = table.columns.emplace_back();
  column.kind = field.value.index();
  column.wire = table.wire->add_fields();
  column.wire->set_key(field.key.data(), field.key.size());
  table.column_numbers.emplace(column.wire->key(), number);
  bytes_ += field.key.size() + 2 * kOverhead + table.row_count() / 8;
  index_bytes_ += kIndexEntryBytes + sizeof(Column);
  return number;
}

uint32_t BatchBuilder::AddSet(Table& table, const std::shared_ptr<const Series::Names>& names) {
  const int set = static_cast<int>(table.held.size());
  table.sets.emplace(names.get(), static_cast<uint32_t>(set));
  table.held.push_back(names);
  index_bytes_ += kIndexEntryBytes;
  for (const auto& [key, value] : names->tags) {
    const auto [number, is_new_tag] = table.tag_numbers.try_emplace(key, table.tags.size());
    if (is_new_tag) {
      table.tags.emplace_back().wire = table.wire->add_tags();
      table.tags.back().wire->set_key(key);
      bytes_ += key.size() + kOverhead + static_cast<size_t>(set) * sizeof(uint32_t);
      index_bytes_ += kIndexEntryBytes + sizeof(Tag);
    }
    Tag& tag = table.tags[number->second];
    const auto [position, is_new_value] =
        tag.values.try_emplace(value, static_cast<uint32_t>(tag.values.size() + 1));
    if (is_new_value) {
      tag.wire->add_dictionary(value);
      bytes_ += value.size() + kOverhead;
      index_bytes_ += kIndexEntryBytes;
    }
    tag.wire->mutable_values()->Resize(set, 0);
    tag.wire->add_values(position->second);
  }
  bytes_ += table.tags.size() * sizeof(uint32_t);
  most_tags_ = std::max(most_tags_, table.tags.size());
  return static_cast<uint32_t>(set);
}

void BatchBuilder::AddValue(Table& table, Column& column, const FieldView& field) {
  const size_t row = table.row_count();
  if (column.end != row && !column.has_gaps) {
    column.has_gaps = true;
    SetFirst(*column.wire->mutable_validity(), column.present);
  }
  if (column.has_gaps) SetBit(*column.wire->mutable_validity(), row);
  switch (column.kind) {
    case kFloat:
      column.wire->mutable_floats()->add_values(*std::get_if<kFloat>(&field.value));
      break;
    case kInteger:
      column.wire->mutable_integers()->add_values(*std::get_if<kInteger>(&field.value));
      break;
    case kUnsigned:
      column.wire->mutable_unsigneds()->add_values(*std::get_if<kUnsigned>(&field.value));
      break;
    case kBoolean: {
      v1::FieldColumn::Booleans& booleans = *column.wire->mutable_booleans();
      if (*std::get_if<kBoolean>(&field.value)) SetBit(*booleans.mutable_bits(), column.present);
      booleans.set_count(booleans.count() + 1);
      break;
    }
    default: {
      const std::string_view text = *std::get_if<kString>(&field.value);
      column.wire->mutable_strings()->add_values(text.data(), text.size());
      bytes_ += text.size();
      // The string itself, and a pointer to it.
      index_bytes_ += sizeof(std::string) + sizeof(void*);
    }
  }
  bytes_ += column.kind == kBoolean ? 1 : sizeof(int64_t);
  ++column.present;
  column.end = row + 1;
}

// What depends on how many rows and sets there are in the end.
void BatchBuilder::Finish(Table& table) {
  v1::TableBatch& wire = *table.wire;
  const size_t rows = table.row_count();
  const size_t bitmap_bytes = (rows + 7) / 8;
  wire.set_row_count(static_cast<uint32_t>(rows));
  // Of a row that went into another table after all.
  while (!table.columns.empty() && table.columns.back().present == 0) {
    table.columns.pop_back();
    wire.mutable_fields()->RemoveLast();
  }
  const size_t sets = table.tags.empty() ? 0 : table.held.size();
  wire.set_tag_set_count(static_cast<uint32_t>(sets));
  if (sets <= 1) wire.clear_row_tag_sets();
  for (Tag& tag : table.tags) tag.wire->mutable_values()->Resize(static_cast<int>(sets), 0);
  for (Column& column : table.columns) {
    if (column.end != rows && !column.has_gaps) {
      SetFirst(*column.wire->mutable_validity(), column.present);
      column.has_gaps = true;
    }
    if (column.has_gaps) column.wire->mutable_validity()->resize(bitmap_bytes);
    if (column.kind == kBoolean) {
      column.wire->mutable_booleans()->mutable_bits()->resize((column.present + 7) / 8);
    }
    if (column.kind == kInteger) Compact(*column.wire->mutable_integers());
  }
}

SealedBatch BatchBuilder::Seal() {
  SealedBatch sealed;
  sealed.point_count = point_count_;
  sealed.cookies.reserve(point_count_);
  for (Table& table : tables_) {
    Finish(table);
    sealed.cookies.insert(sealed.cookies.end(), table.cookies.begin(), table.cookies.end());
  }
  wire_.SerializeToString(&sealed.bytes);
  *this = BatchBuilder();
  return sealed;
}

absl::StatusOr<Lines> ReadLines(std::string_view text) {
  if (!ingest::IsUtf8(text)) return absl::InvalidArgumentError("the lines are not UTF-8");
  // Two more show whether what follows are lines of their own.
  constexpr std::string_view kFollower = "m f=1\nm f=1";
  constexpr size_t kLineBytes = 5;
  Lines lines{.is_open_ended = true};
  lines.text.reserve(text.size() + 1 + kFollower.size());
  lines.text = text;
  lines.is_newline_added = !text.empty() && text.back() != '\n';
  if (lines.is_newline_added) lines.text.push_back('\n');
  const size_t end = lines.text.size();
  lines.text.append(kFollower);
  lineprotocol::LineReader reader(lines.text);
  while (reader.Next()) {
    if (reader.begin() < end) {
      ++lines.point_count;
    } else if (reader.begin() == end) {
      lines.is_open_ended = reader.end() != end + kLineBytes;
    }
  }
  lines.text.resize(end);
  if (lines.point_count == 0) return absl::InvalidArgumentError("the lines hold no point");
  return lines;
}

void LinesBuilder::Add(const Lines& lines, uint64_t cookie) {
  batch_.bytes.append(lines.text);
  batch_.lines.push_back(
      {.cookie = cookie, .first_point = batch_.point_count, .lines_before = line_count_});
  line_count_ += std::count(lines.text.begin(), lines.text.end(), '\n');
  batch_.point_count += lines.point_count;
  is_newline_added_ = lines.is_newline_added;
}

SealedBatch LinesBuilder::Seal() {
  line_count_ = 0;
  if (is_newline_added_) batch_.bytes.pop_back();
  return std::exchange(batch_, {.kind = SealedBatch::Kind::kLines});
}

}  // namespace sluice::client
