#include "storage/block/block_encoder.h"

#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <optional>

#include "storage/block/block_format.h"
#include "storage/block/vectorized.h"
#include "storage/bytes.h"

namespace sluice::storage {
namespace {

// The fastest level; higher ones took three times the CPU for five percent less.
constexpr int kZstdLevel = 1;
// Below this, a frame's own header takes what could be saved.
constexpr size_t kMinCompressedBytes = 64;
// Integers up to here are the same number as a double.
constexpr double kMaxExactInteger = 9007199254740992.0;

// Replaces what follows `begin` by its compressed form, if that is smaller. Returns the size
// before, or 0 where nothing changed.
size_t Compress(std::string& bytes, size_t begin) {
  const size_t raw_size = bytes.size() - begin;
  if (raw_size < kMinCompressedBytes) return 0;
  thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                                  &ZSTD_freeCCtx);
  thread_local std::string compressed;
  compressed.resize(ZSTD_compressBound(raw_size));
  const size_t size = ZSTD_compressCCtx(context.get(), compressed.data(), compressed.size(),
                                        bytes.data() + begin, raw_size, kZstdLevel);
  if (ZSTD_isError(size) || size >= raw_size) return 0;
  bytes.resize(begin);
  bytes.append(compressed.data(), size);
  return raw_size;
}

std::string Le64(int64_t number) {
  std::string bytes;
  PutLe64(bytes, static_cast<uint64_t>(number));
  return bytes;
}

template <typename T>
struct Range {
  T min;
  T max;
};

template <typename T>
Range<int64_t> RangeAs(std::span<const int64_t> numbers) {
  T min = std::bit_cast<T>(numbers[0]);
  T max = min;
  for (int64_t number : numbers) {
    T value = std::bit_cast<T>(number);
    min = value < min ? value : min;
    max = value > max ? value : max;
  }
  return {std::bit_cast<int64_t>(min), std::bit_cast<int64_t>(max)};
}

SLUICE_VECTORIZED Range<int64_t> IntegerRange(std::span<const int64_t> numbers) {
  int64_t min = numbers[0];
  int64_t max = min;
  for (int64_t number : numbers) {
    min = number < min ? number : min;
    max = number > max ? number : max;
  }
  return {min, max};
}

Range<int64_t> RangeOf(ColumnType type, std::span<const int64_t> numbers) {
  switch (type) {
    case ColumnType::kFloat:
      return RangeAs<double>(numbers);
    case ColumnType::kUnsigned:
      return RangeAs<uint64_t>(numbers);
    default:
      return IntegerRange(numbers);
  }
}

// The number as an integer, where dividing that by `power` gives the very same bits.
std::optional<int64_t> AsInteger(int64_t bits, double power) {
  const double scaled = std::bit_cast<double>(bits) * power;
  if (!(std::abs(scaled) <= kMaxExactInteger)) return std::nullopt;
  const int64_t integer = std::llround(scaled);
  const double back = static_cast<double>(integer) / power;
  return std::bit_cast<int64_t>(back) == bits ? std::optional(integer) : std::nullopt;
}

// The least number of decimals that all have, if that is at most `max_decimals`; and the integers.
std::optional<size_t> Decimals(std::span<const int64_t> bits, size_t max_decimals,
                               std::vector<int64_t>& integers) {
  size_t decimals = 0;
  integers.clear();
  integers.reserve(bits.size());
  for (size_t i = 0; i < bits.size(); ++i) {
    std::optional<int64_t> integer = AsInteger(bits[i], kPowersOfTen[decimals]);
    if (integer) {
      integers.push_back(*integer);
      continue;
    }
    if (++decimals > max_decimals) return std::nullopt;
    // Those before have to fit as well.
    integers.clear();
    i = ~size_t{0};
  }
  return decimals;
}

}  // namespace

void BlockEncoder::AddTimestamps(std::span<const int64_t> timestamps_ns) {
  row_count_ = timestamps_ns.size();
  auto [min, max] = IntegerRange(timestamps_ns);
  min_time_ns_ = min;
  max_time_ns_ = max;
  PutTimestamps(body_, timestamps_ns, packing_);
  EndSection(row_sections_);
}

void BlockEncoder::AddRows(std::span<const int64_t> timestamps_ns,
                           std::span<const int64_t> row_sets, size_t set_count) {
  set_count_ = set_count;
  AddTimestamps(timestamps_ns);
  PutIntegers(body_, row_sets, packing_);
  EndSection(row_sections_);
}

void BlockEncoder::AddSortedRows(std::span<const int64_t> timestamps_ns,
                                 std::span<const int64_t> set_rows) {
  sorted_ = true;
  AddRows(timestamps_ns, set_rows, set_rows.size());
}

void BlockEncoder::AddTag(size_t position, const Bitmap* present, const StringList& dictionary,
                          std::span<const int64_t> codes) {
  std::string_view min = dictionary[0];
  std::string_view max = min;
  for (size_t i = 1; i < dictionary.size(); ++i) {
    min = std::min(min, dictionary[i]);
    max = std::max(max, dictionary[i]);
  }
  PutValidity(present, set_count_);
  PutVarint(body_, dictionary.size());
  PutTexts(dictionary);
  PutIntegers(body_, codes, packing_);
  PutEntry(position, ColumnType::kTag, codes.size(), Bound(min), Bound(max));
}

void BlockEncoder::AddNumbers(size_t position, ColumnType type, const Bitmap* present,
                              std::span<const int64_t> numbers) {
  PutValidity(present, row_count_);
  type == ColumnType::kFloat ? PutFloats(numbers) : PutIntegers(body_, numbers, packing_);
  if (type == ColumnType::kBoolean) return PutEntry(position, type, numbers.size(), {}, {});
  auto [min, max] = RangeOf(type, numbers);
  PutEntry(position, type, numbers.size(), Le64(min), Le64(max));
}

void BlockEncoder::AddStrings(size_t position, const Bitmap* present, const StringList& texts) {
  PutValidity(present, row_count_);
  PutTexts(texts);
  PutEntry(position, ColumnType::kString, texts.size(), {}, {});
}

void BlockEncoder::PutValidity(const Bitmap* present, size_t count) {
  if (present == nullptr) return;
  for (size_t i = 0; i < (count + 63) / 64; ++i) {
    PutLe64(body_, i < present->words().size() ? present->words()[i] : 0);
  }
}

void BlockEncoder::PutTexts(const StringList& texts) {
  std::vector<int64_t> lengths;
  lengths.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    lengths.push_back(static_cast<int64_t>(texts[i].size()));
  }
  PutIntegers(body_, lengths, packing_);
  body_.append(texts.bytes());
}

void BlockEncoder::PutFloats(std::span<const int64_t> bits) {
  // Looking for decimals costs more than everything else about a float: merging does that once.
  const size_t max_decimals = packing_ == Packing::kQuick ? 0 : kPowersOfTen.size() - 1;
  std::vector<int64_t> integers;
  if (std::optional<size_t> decimals = Decimals(bits, max_decimals, integers)) {
    PutByte(body_, static_cast<uint8_t>(kFloatDecimals + *decimals));
    PutIntegers(body_, integers, packing_);
    return;
  }
  PutByte(body_, kFloatPlanes);
  const size_t begin = body_.size();
  body_.resize(begin + bits.size() * sizeof(int64_t));
  for (size_t byte = 0; byte < sizeof(int64_t); ++byte) {
    char* plane = body_.data() + begin + byte * bits.size();
    for (size_t i = 0; i < bits.size(); ++i) plane[i] = static_cast<char>(bits[i] >> (8 * byte));
  }
}

void BlockEncoder::PutEntry(size_t position, ColumnType type, size_t present_count,
                            std::string_view min, std::string_view max) {
  ++column_count_;
  PutVarint(entries_, position);
  PutByte(entries_, static_cast<uint8_t>(type));
  PutVarint(entries_, present_count);
  PutBytes(entries_, min);
  PutBytes(entries_, max);
  EndSection(entries_);
}

void BlockEncoder::EndSection(std::string& sizes) {
  const size_t raw_size = packing_ == Packing::kDense ? Compress(body_, section_begin_) : 0;
  PutVarint(sizes, body_.size() - section_begin_);
  PutVarint(sizes, raw_size);
  section_bytes_ += std::max(body_.size() - section_begin_, raw_size);
  section_begin_ = body_.size();
}

EncodedBlock BlockEncoder::Finish() {
  EncodedBlock block;
  std::string& out = block.directory;
  PutByte(out, kBlockVersion);
  PutByte(out, sorted_ ? kSortedFlag : 0);
  PutVarint(out, row_count_);
  PutZigzag(out, min_time_ns_);
  PutZigzag(out, max_time_ns_);
  PutVarint(out, set_count_);
  out.append(row_sections_);
  PutVarint(out, column_count_);
  out.append(entries_);
  block.body = std::move(body_);
  block.row_count = row_count_;
  block.decoded_bytes = DecodedBytes(row_count_, set_count_, column_count_, section_bytes_);
  return block;
}

EncodedBlock EncodeBlock(const TableBatch& batch) {
  BlockEncoder encoder(Packing::kQuick);
  encoder.AddRows(batch.timestamps(), batch.row_sets(), batch.set_count());
  for (size_t i = 0; i < batch.columns().size(); ++i) {
    const BatchColumn& column = batch.columns()[i];
    if (column.present_count() == 0) continue;
    const bool is_tag = column.type() == ColumnType::kTag;
    const bool has_gaps = column.present_count() < (is_tag ? batch.set_count() : batch.row_count());
    const Bitmap present = has_gaps ? column.Present() : Bitmap();
    const Bitmap* gaps = has_gaps ? &present : nullptr;
    if (is_tag) {
      encoder.AddTag(i, gaps, column.dictionary().strings(), column.numbers());
    } else if (column.type() == ColumnType::kString) {
      encoder.AddStrings(i, gaps, column.strings());
    } else {
      encoder.AddNumbers(i, column.type(), gaps, column.numbers());
    }
  }
  return encoder.Finish();
}

}  // namespace sluice::storage
