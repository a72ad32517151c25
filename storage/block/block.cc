#include "storage/block/block.h"

#include <zstd.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>

#include "storage/batch.h"
#include "storage/block/block_format.h"
#include "storage/block/integers.h"
#include "storage/bytes.h"

namespace sluice::storage {
namespace {

// No column that a server writes is larger; a damaged size must not take all memory.
constexpr size_t kMaxRawBytes = size_t{1} << 30;

absl::Status Damaged(const char* what) {
  return absl::DataLossError(std::string("damaged block: ") + what);
}

// Null where that is not what a frame of that size decompresses to.
std::shared_ptr<const std::string> Decompress(std::string_view stored, size_t raw_size) {
  thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                                  &ZSTD_freeDCtx);
  // Before any memory is taken.
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != raw_size) return nullptr;
  auto raw = std::make_shared<std::string>(raw_size, '\0');
  const size_t size =
      ZSTD_decompressDCtx(context.get(), raw->data(), raw_size, stored.data(), stored.size());
  return size == raw_size ? raw : nullptr;
}

std::vector<std::string_view> ReadTexts(ByteReader& reader, size_t count) {
  std::vector<int64_t> lengths = ReadIntegers(reader, count);
  std::vector<std::string_view> texts;
  texts.reserve(lengths.size());
  // A negative length becomes one that no block is long enough for.
  for (int64_t length : lengths) texts.push_back(reader.Raw(static_cast<size_t>(length)));
  return texts;
}

std::vector<int64_t> ReadPlanes(ByteReader& reader, size_t count) {
  std::string_view raw = reader.Raw(count * sizeof(int64_t));
  if (!reader.ok()) return {};
  std::vector<uint64_t> bits(count);
  for (size_t byte = 0; byte < sizeof(int64_t); ++byte) {
    for (size_t i = 0; i < count; ++i) {
      bits[i] |= static_cast<uint64_t>(static_cast<uint8_t>(raw[byte * count + i])) << (8 * byte);
    }
  }
  return {bits.begin(), bits.end()};
}

std::vector<int64_t> ReadFloats(ByteReader& reader, size_t count) {
  const uint8_t encoding = reader.Byte();
  if (encoding == kFloatPlanes) return ReadPlanes(reader, count);
  const size_t decimals = encoding - 1u;
  if (decimals >= kPowersOfTen.size()) {
    reader.Raw(std::numeric_limits<size_t>::max());
    return {};
  }
  std::vector<int64_t> numbers = ReadIntegers(reader, count);
  for (int64_t& number : numbers) {
    number = std::bit_cast<int64_t>(static_cast<double>(number) / kPowersOfTen[decimals]);
  }
  return numbers;
}

bool AreCodes(const std::vector<int64_t>& numbers, size_t value_count) {
  return std::all_of(numbers.begin(), numbers.end(),
                     [&](int64_t code) { return static_cast<uint64_t>(code) < value_count; });
}

}  // namespace

bool Block::ReadSection(ByteReader& reader, Section& section) {
  section.begin = body_size_;
  section.stored_size = reader.Varint();
  section.raw_size = reader.Varint();
  if (section.stored_size > kMaxRawBytes || section.raw_size > kMaxRawBytes) return false;
  body_size_ += section.stored_size;
  decoded_bytes_ += std::max(section.stored_size, section.raw_size);
  return body_size_ <= 4 * kMaxRawBytes;
}

absl::StatusOr<Block> Block::Open(std::string_view bytes) {
  absl::StatusOr<std::optional<Block>> block = OpenIfMatches(bytes, {});
  if (!block.ok()) return block.status();
  return **std::move(block);
}

absl::StatusOr<std::optional<Block>> Block::OpenIfMatches(std::string_view bytes,
                                                          const BlockFilter& filter) {
  ByteReader reader(bytes);
  Block block;
  absl::StatusOr<bool> matches = block.ReadDirectory(reader, filter);
  if (!matches.ok()) return matches.status();
  if (!*matches) return std::nullopt;
  block.decoded_bytes_ =
      DecodedBytes(block.row_count_, block.set_count_, block.entries_.size(), block.decoded_bytes_);
  if (!reader.empty()) {
    absl::Status attached = block.AttachBody(reader.Raw(reader.size()));
    if (!attached.ok()) return attached;
  }
  return block;
}

absl::StatusOr<bool> Block::ReadDirectory(ByteReader& reader, const BlockFilter& filter) {
  if (reader.Byte() != kBlockVersion) return Damaged("unknown version");
  const uint8_t flags = reader.Byte();
  if ((flags & ~kSortedFlag) != 0) return Damaged("unknown flags");
  sorted_ = flags != 0;
  row_count_ = reader.Varint();
  min_time_ns_ = reader.Zigzag();
  max_time_ns_ = reader.Zigzag();
  set_count_ = reader.Varint();
  if (row_count_ == 0 || row_count_ > kMaxBlockRows) return Damaged("row count");
  if (set_count_ == 0 || set_count_ > row_count_) return Damaged("set count");
  if (max_time_ns_ < filter.min_time_ns || min_time_ns_ > filter.max_time_ns) return false;
  if (!ReadSection(reader, timestamps_) || !ReadSection(reader, sets_)) return Damaged("size");
  uint64_t left = reader.Varint();
  // An entry has six bytes at least.
  entries_.reserve(std::min<uint64_t>(left, reader.size() / 6));
  size_t tags_held = 0;
  for (; left > 0 && reader.ok(); --left) {
    Entry entry;
    entry.column = reader.Varint();
    const uint8_t type = reader.Byte();
    entry.type = static_cast<ColumnType>(type);
    entry.present_count = reader.Varint();
    entry.min = reader.Bytes();
    entry.max = reader.Bytes();
    if (!ReadSection(reader, entry.section)) return Damaged("size");
    bool ascends = entries_.empty() || entry.column > entries_.back().column;
    if (!ascends || !IsColumnType(type)) return Damaged("directory");
    if (entry.present_count == 0 || entry.present_count > CountOf(entry)) {
      return Damaged("count of values");
    }
    for (const auto& [column, value] : filter.tags) {
      if (column != entry.column) continue;
      bool may_hold =
          entry.type == ColumnType::kTag && value >= entry.min && Bound(value) <= entry.max;
      if (!may_hold) return false;
      ++tags_held;
    }
    entries_.push_back(entry);
  }
  if (!reader.ok()) return Damaged("length");
  return tags_held == filter.tags.size();
}

absl::Status Block::AttachBody(std::string_view body) {
  if (body.size() != body_size_) return Damaged("length");
  body_ = body;
  return absl::OkStatus();
}

// How many values a column would have without gaps.
size_t Block::CountOf(const Entry& entry) const {
  return entry.type == ColumnType::kTag ? set_count_ : row_count_;
}

absl::StatusOr<Block::Raw> Block::RawOf(const Section& section) const {
  std::string_view stored = body_.substr(section.begin, section.stored_size);
  if (section.raw_size == 0) return Raw{stored, nullptr};
  std::shared_ptr<const std::string> raw = Decompress(stored, section.raw_size);
  if (raw == nullptr) return Damaged("compression");
  return Raw{*raw, raw};
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

Block::TagRange Block::RangeOfTag(size_t column) const {
  const Entry* entry = Find(column);
  if (entry == nullptr) return {};
  bool everywhere = entry->present_count == set_count_;
  // A bound that was cut may stand for many values.
  bool single = everywhere && entry->min == entry->max && entry->min.size() < kMaxBoundBytes;
  return {entry->min, everywhere, single};
}

absl::StatusOr<std::vector<int64_t>> Block::DecodeTimestamps() const {
  absl::StatusOr<Raw> raw = RawOf(timestamps_);
  if (!raw.ok()) return raw.status();
  ByteReader reader(raw->bytes);
  std::vector<int64_t> times = ReadTimestamps(reader, row_count_);
  if (!reader.ok() || !reader.empty()) return Damaged("timestamps");
  auto [min, max] = std::minmax_element(times.begin(), times.end());
  if (*min != min_time_ns_ || *max != max_time_ns_) return Damaged("time range");
  return times;
}

absl::StatusOr<std::vector<uint32_t>> Block::DecodeSets() const {
  absl::StatusOr<Raw> raw = RawOf(sets_);
  if (!raw.ok()) return raw.status();
  ByteReader reader(raw->bytes);
  std::vector<int64_t> numbers = ReadIntegers(reader, sorted_ ? set_count_ : row_count_);
  if (!reader.ok() || !reader.empty()) return Damaged("tag sets");
  std::vector<uint32_t> sets;
  sets.reserve(row_count_);
  if (!sorted_) {
    if (!AreCodes(numbers, set_count_)) return Damaged("tag sets");
    for (int64_t set : numbers) sets.push_back(static_cast<uint32_t>(set));
    return sets;
  }
  for (uint32_t set = 0; set < set_count_; ++set) {
    const uint64_t rows = static_cast<uint64_t>(numbers[set]);
    if (rows == 0 || rows > row_count_ - sets.size()) return Damaged("tag sets");
    sets.insert(sets.end(), rows, set);
  }
  if (sets.size() != row_count_) return Damaged("tag sets");
  return sets;
}

absl::StatusOr<BlockColumn> Block::DecodeColumn(size_t position) const {
  BlockColumn column;
  const Entry* entry = Find(position);
  if (entry == nullptr) return column;
  absl::StatusOr<Raw> raw = RawOf(entry->section);
  if (!raw.ok()) return raw.status();
  ByteReader reader(raw->bytes);
  column.owner_ = std::move(raw->owner);
  column.type_ = entry->type;
  const size_t count = CountOf(*entry);
  column.all_present_ = entry->present_count == count;
  if (!column.all_present_) {
    for (size_t i = 0; i < (count + 63) / 64; ++i) {
      column.present_.words().push_back(reader.Le64());
    }
    column.rank_ = BitmapRank(column.present_);
    bool past_end = count % 64 != 0 && column.present_.words().back() >> (count % 64) != 0;
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

BlockColumn BlockColumn::Select(std::span<const uint32_t> rows) const {
  BlockColumn selected;
  selected.type_ = type_;
  selected.owner_ = owner_;
  for (size_t i = 0; i < rows.size(); ++i) {
    std::optional<size_t> position = Position(rows[i]);
    if (!position) continue;
    selected.present_.Set(i);
    if (type_ == ColumnType::kString) {
      selected.strings_.push_back(strings_[*position]);
    } else {
      selected.numbers_.push_back(numbers_[*position]);
    }
  }
  selected.rank_ = BitmapRank(selected.present_);
  selected.all_present_ = selected.rank_.count() == rows.size();
  return selected;
}

size_t BlockColumn::memory_bytes() const {
  return sizeof(*this) + numbers_.size() * sizeof(int64_t) +
         strings_.size() * sizeof(std::string_view) + (owner_ == nullptr ? 0 : owner_->size());
}

std::optional<uint32_t> BlockColumn::CodeAt(size_t set) const {
  std::optional<size_t> position = Position(set);
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
