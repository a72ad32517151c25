#include "storage/block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "storage/bytes.h"
#include "storage/integers.h"

// The grammar, in the words of bytes.h and integers.h:
//
//   block      := version:byte(1) flags:byte(0) row_count:varint min_time:zigzag max_time:zigzag
//                 column_count:varint entry{column_count} timestamps:bytes column{column_count}
//   entry      := position:varint type:byte present_count:varint min:bytes max:bytes size:varint
//   timestamps := integers(row_count)
//   column     := [validity] values             as many bytes as the entry's size
//   validity   := le64{ceil(row_count / 64)}    one bit a row; left out when all rows have a value
//   values     := tag:      value_count:varint texts(value_count) integers(present_count)
//               | float:    encoding:byte(0) shuffled | encoding:byte(1) integers(present_count)
//               | integer, unsigned, boolean:  integers(present_count)
//               | string:   texts(present_count)
//   texts(n)   := integers(n), the lengths; then all texts, one after the other
//   shuffled   := the first bytes of all IEEE 754 doubles, then their second bytes, and so on
//
// Entries ascend by position, columns follow in the same order. A tag's integers are positions
// among its texts. Floats are stored as integers when each of them is one.
//
// min and max are the smallest and largest value: a tag's text cut at 64 bytes, a number's 64 bits
// as le64 (a float's IEEE bits), nothing for strings and booleans. `flags` is reserved for what a
// merged block promises of its order; a reader refuses a version or flag that it does not know.

namespace sluice::storage {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kMaxBoundBytes = 64;
// Integers up to here are the same number as a double.
constexpr double kMaxExactInteger = 9007199254740992.0;

enum FloatEncoding : uint8_t { kShuffled = 0, kIntegral = 1 };

absl::Status Damaged(const char* what) {
  return absl::DataLossError(std::string("damaged block: ") + what);
}

std::string_view Bound(std::string_view text) { return text.substr(0, kMaxBoundBytes); }

struct Bounds {
  std::string min;
  std::string max;
};

template <typename T>
Bounds NumberBounds(const std::vector<int64_t>& numbers) {
  auto less = [](int64_t a, int64_t b) { return std::bit_cast<T>(a) < std::bit_cast<T>(b); };
  auto [min, max] = std::minmax_element(numbers.begin(), numbers.end(), less);
  Bounds bounds;
  PutLe64(bounds.min, static_cast<uint64_t>(*min));
  PutLe64(bounds.max, static_cast<uint64_t>(*max));
  return bounds;
}

Bounds TagBounds(const StringList& texts) {
  std::string_view min = texts[0];
  std::string_view max = texts[0];
  for (size_t i = 1; i < texts.size(); ++i) {
    min = std::min(min, texts[i]);
    max = std::max(max, texts[i]);
  }
  return {std::string(Bound(min)), std::string(Bound(max))};
}

Bounds BoundsOf(const BatchColumn& column) {
  switch (column.type()) {
    case ColumnType::kTag:
      return TagBounds(column.dictionary().strings());
    case ColumnType::kFloat:
      return NumberBounds<double>(column.numbers());
    case ColumnType::kInteger:
      return NumberBounds<int64_t>(column.numbers());
    case ColumnType::kUnsigned:
      return NumberBounds<uint64_t>(column.numbers());
    case ColumnType::kString:
    case ColumnType::kBoolean:
      return {};
  }
  return {};
}

void PutTexts(std::string& out, const StringList& texts) {
  std::vector<int64_t> lengths;
  lengths.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    lengths.push_back(static_cast<int64_t>(texts[i].size()));
  PutIntegers(out, lengths);
  out.append(texts.bytes());
}

bool IsIntegral(double number) {
  return std::abs(number) <= kMaxExactInteger && number == std::trunc(number) &&
         !(number == 0 && std::signbit(number));
}

void PutFloats(std::string& out, const std::vector<int64_t>& bits) {
  std::vector<int64_t> integers;
  integers.reserve(bits.size());
  for (int64_t number : bits) {
    double value = std::bit_cast<double>(number);
    if (!IsIntegral(value)) break;
    integers.push_back(static_cast<int64_t>(value));
  }
  if (integers.size() == bits.size()) {
    PutByte(out, kIntegral);
    PutIntegers(out, integers);
    return;
  }
  PutByte(out, kShuffled);
  size_t begin = out.size();
  out.resize(begin + bits.size() * sizeof(int64_t));
  for (size_t i = 0; i < bits.size(); ++i) {
    for (size_t byte = 0; byte < sizeof(int64_t); ++byte) {
      out[begin + byte * bits.size() + i] = static_cast<char>(bits[i] >> (8 * byte));
    }
  }
}

void PutColumn(std::string& out, const BatchColumn& column, size_t row_count) {
  if (column.present_count() < row_count) {
    size_t words = (row_count + 63) / 64;
    for (size_t i = 0; i < words; ++i) {
      PutLe64(out, i < column.present().words().size() ? column.present().words()[i] : 0);
    }
  }
  switch (column.type()) {
    case ColumnType::kTag:
      PutVarint(out, column.dictionary().strings().size());
      PutTexts(out, column.dictionary().strings());
      PutIntegers(out, column.numbers());
      break;
    case ColumnType::kFloat:
      PutFloats(out, column.numbers());
      break;
    case ColumnType::kInteger:
    case ColumnType::kUnsigned:
    case ColumnType::kBoolean:
      PutIntegers(out, column.numbers());
      break;
    case ColumnType::kString:
      PutTexts(out, column.strings());
      break;
  }
}

std::vector<std::string_view> ReadTexts(ByteReader& reader, size_t count) {
  std::vector<int64_t> lengths = ReadIntegers(reader, count);
  std::vector<std::string_view> texts;
  texts.reserve(lengths.size());
  // A negative length becomes one that no block is long enough for.
  for (int64_t length : lengths) texts.push_back(reader.Raw(static_cast<size_t>(length)));
  return texts;
}

std::vector<int64_t> ReadFloats(ByteReader& reader, size_t count) {
  uint8_t encoding = reader.Byte();
  if (encoding == kIntegral) {
    std::vector<int64_t> numbers = ReadIntegers(reader, count);
    for (int64_t& number : numbers) number = std::bit_cast<int64_t>(static_cast<double>(number));
    return numbers;
  }
  size_t size =
      encoding == kShuffled ? count * sizeof(int64_t) : std::numeric_limits<size_t>::max();
  std::string_view raw = reader.Raw(size);
  if (!reader.ok()) return {};
  std::vector<int64_t> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    for (size_t byte = 0; byte < sizeof(int64_t); ++byte) {
      bits |= static_cast<uint64_t>(static_cast<uint8_t>(raw[byte * count + i])) << (8 * byte);
    }
    numbers[i] = static_cast<int64_t>(bits);
  }
  return numbers;
}

bool AreCodes(const std::vector<int64_t>& numbers, size_t value_count) {
  return std::all_of(numbers.begin(), numbers.end(),
                     [&](int64_t code) { return static_cast<uint64_t>(code) < value_count; });
}

}  // namespace

std::string EncodeBlock(const TableBatch& batch) {
  const std::vector<int64_t>& times = batch.timestamps();
  auto [min_time, max_time] = std::minmax_element(times.begin(), times.end());
  std::string entries;
  std::string body;
  size_t column_count = 0;
  for (size_t i = 0; i < batch.columns().size(); ++i) {
    const BatchColumn& column = batch.columns()[i];
    if (column.present_count() == 0) continue;
    ++column_count;
    size_t begin = body.size();
    PutColumn(body, column, batch.row_count());
    Bounds bounds = BoundsOf(column);
    PutVarint(entries, i);
    PutByte(entries, static_cast<uint8_t>(column.type()));
    PutVarint(entries, column.present_count());
    PutBytes(entries, bounds.min);
    PutBytes(entries, bounds.max);
    PutVarint(entries, body.size() - begin);
  }
  std::string timestamps;
  PutIntegers(timestamps, times);

  std::string out;
  out.reserve(entries.size() + timestamps.size() + body.size() + 64);
  PutByte(out, kVersion);
  PutByte(out, 0);
  PutVarint(out, batch.row_count());
  PutZigzag(out, *min_time);
  PutZigzag(out, *max_time);
  PutVarint(out, column_count);
  out.append(entries);
  PutBytes(out, timestamps);
  out.append(body);
  return out;
}

absl::StatusOr<Block> Block::Open(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.Byte() != kVersion || reader.Byte() != 0) return Damaged("unknown version or flags");
  Block block;
  block.row_count_ = reader.Varint();
  block.min_time_ns_ = reader.Zigzag();
  block.max_time_ns_ = reader.Zigzag();
  if (block.row_count_ == 0 || block.row_count_ > kMaxBlockRows) return Damaged("row count");
  std::vector<size_t> sizes;
  for (uint64_t left = reader.Varint(); left > 0 && reader.ok(); --left) {
    Entry entry;
    entry.column = reader.Varint();
    uint8_t type = reader.Byte();
    entry.type = static_cast<ColumnType>(type);
    entry.present_count = reader.Varint();
    entry.min = reader.Bytes();
    entry.max = reader.Bytes();
    sizes.push_back(reader.Varint());
    bool ascends = block.entries_.empty() || entry.column > block.entries_.back().column;
    if (!ascends || !IsColumnType(type)) return Damaged("directory");
    if (entry.present_count == 0 || entry.present_count > block.row_count_) {
      return Damaged("count of values");
    }
    block.entries_.push_back(entry);
  }
  block.timestamps_ = reader.Bytes();
  for (size_t i = 0; i < sizes.size(); ++i) block.entries_[i].bytes = reader.Raw(sizes[i]);
  if (!reader.ok() || !reader.empty()) return Damaged("length");
  return block;
}

const Block::Entry* Block::Find(size_t column) const {
  auto found = std::lower_bound(entries_.begin(), entries_.end(), column,
                                [](const Entry& entry, size_t c) { return entry.column < c; });
  return found != entries_.end() && found->column == column ? &*found : nullptr;
}

std::vector<size_t> Block::columns() const {
  std::vector<size_t> columns;
  columns.reserve(entries_.size());
  for (const Entry& entry : entries_) columns.push_back(entry.column);
  return columns;
}

std::optional<ColumnType> Block::TypeOf(size_t column) const {
  const Entry* entry = Find(column);
  return entry == nullptr ? std::nullopt : std::optional(entry->type);
}

bool Block::MayHoldTag(size_t column, std::string_view value) const {
  const Entry* entry = Find(column);
  return entry != nullptr && entry->type == ColumnType::kTag && value >= entry->min &&
         Bound(value) <= entry->max;
}

absl::StatusOr<std::vector<int64_t>> Block::DecodeTimestamps() const {
  ByteReader reader(timestamps_);
  std::vector<int64_t> times = ReadIntegers(reader, row_count_);
  if (!reader.ok() || !reader.empty()) return Damaged("timestamps");
  auto [min, max] = std::minmax_element(times.begin(), times.end());
  if (*min != min_time_ns_ || *max != max_time_ns_) return Damaged("time range");
  return times;
}

absl::StatusOr<BlockColumn> Block::DecodeColumn(size_t position) const {
  BlockColumn column;
  const Entry* entry = Find(position);
  if (entry == nullptr) return column;
  ByteReader reader(entry->bytes);
  column.type_ = entry->type;
  column.all_present_ = entry->present_count == row_count_;
  if (!column.all_present_) {
    for (size_t i = 0; i < (row_count_ + 63) / 64; ++i) {
      column.present_.words().push_back(reader.Le64());
    }
    column.rank_ = BitmapRank(column.present_);
    bool past_end =
        row_count_ % 64 != 0 && column.present_.words().back() >> (row_count_ % 64) != 0;
    if (past_end || column.rank_.count() != entry->present_count) return Damaged("validity");
  }
  switch (entry->type) {
    case ColumnType::kTag: {
      size_t value_count = reader.Varint();
      if (value_count > entry->present_count) return Damaged("dictionary");
      column.strings_ = ReadTexts(reader, value_count);
      column.numbers_ = ReadIntegers(reader, entry->present_count);
      if (!AreCodes(column.numbers_, value_count)) return Damaged("dictionary codes");
      break;
    }
    case ColumnType::kFloat:
      column.numbers_ = ReadFloats(reader, entry->present_count);
      break;
    case ColumnType::kInteger:
    case ColumnType::kUnsigned:
    case ColumnType::kBoolean:
      column.numbers_ = ReadIntegers(reader, entry->present_count);
      break;
    case ColumnType::kString:
      column.strings_ = ReadTexts(reader, entry->present_count);
      break;
  }
  if (!reader.ok() || !reader.empty()) return Damaged("column");
  return column;
}

std::optional<size_t> BlockColumn::Position(size_t row) const {
  if (all_present_) return row;
  if (!present_.Get(row)) return std::nullopt;
  return rank_.Of(present_, row);
}

std::optional<uint32_t> BlockColumn::CodeAt(size_t row) const {
  std::optional<size_t> position = Position(row);
  if (!position) return std::nullopt;
  return static_cast<uint32_t>(numbers_[*position]);
}

Value BlockColumn::At(size_t row) const {
  std::optional<size_t> position = Position(row);
  if (!position) return std::monostate();
  switch (type_) {
    case ColumnType::kTag:
      return strings_[static_cast<size_t>(numbers_[*position])];
    case ColumnType::kString:
      return strings_[*position];
    case ColumnType::kFloat:
      return std::bit_cast<double>(numbers_[*position]);
    case ColumnType::kInteger:
      return numbers_[*position];
    case ColumnType::kUnsigned:
      return static_cast<uint64_t>(numbers_[*position]);
    case ColumnType::kBoolean:
      return numbers_[*position] != 0;
  }
  return std::monostate();
}

}  // namespace sluice::storage
