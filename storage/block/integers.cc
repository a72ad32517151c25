#include "storage/block/integers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "storage/block/vectorized.h"

namespace sluice::storage {
namespace {

static_assert(std::endian::native == std::endian::little);

enum Mode : uint8_t { kPacked = 0, kPackedSteps = 1, kPlanes = 2, kPlanesOfSteps = 3 };

// Packed values are written and read in groups of so many, which end at a byte.
constexpr size_t kGroup = 8;
// Values are worked on in pieces that stay in the first-level cache.
constexpr size_t kPiece = 1024;

using Piece = std::array<uint64_t, kPiece>;

uint64_t Zigzag(uint64_t step) {
  return (step << 1) ^ static_cast<uint64_t>(static_cast<int64_t>(step) >> 63);
}
uint64_t Unzigzag(uint64_t value) { return (value >> 1) ^ (0 - (value & 1)); }

// The smallest and the largest value, and the same of the steps.
struct Ranges {
  int64_t min = std::numeric_limits<int64_t>::max();
  int64_t max = std::numeric_limits<int64_t>::min();
  int64_t min_step = std::numeric_limits<int64_t>::max();
  int64_t max_step = std::numeric_limits<int64_t>::min();

  int width() const {
    return std::bit_width(static_cast<uint64_t>(max) - static_cast<uint64_t>(min));
  }
  int step_width() const {
    return std::bit_width(static_cast<uint64_t>(max_step) - static_cast<uint64_t>(min_step));
  }
};

SLUICE_VECTORIZED void MeasureValues(const int64_t* values, size_t count, Ranges& ranges) {
  int64_t min = ranges.min;
  int64_t max = ranges.max;
  for (size_t i = 0; i < count; ++i) {
    min = values[i] < min ? values[i] : min;
    max = values[i] > max ? values[i] : max;
  }
  ranges.min = min;
  ranges.max = max;
}

SLUICE_VECTORIZED void MeasureSteps(const int64_t* values, size_t count, Ranges& ranges) {
  int64_t min = ranges.min_step;
  int64_t max = ranges.max_step;
  for (size_t i = 1; i < count; ++i) {
    int64_t step = static_cast<int64_t>(static_cast<uint64_t>(values[i]) -
                                        static_cast<uint64_t>(values[i - 1]));
    min = step < min ? step : min;
    max = step > max ? step : max;
  }
  ranges.min_step = min;
  ranges.max_step = max;
}

SLUICE_VECTORIZED void TakeOffsets(const int64_t* values, size_t count, uint64_t base,
                                   uint64_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint64_t>(values[i]) - base;
}

// The steps that lead to `values` from the value before each.
SLUICE_VECTORIZED void TakeSteps(const int64_t* values, size_t count, uint64_t base,
                                 uint64_t* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = static_cast<uint64_t>(values[i]) - static_cast<uint64_t>(values[i - 1]) - base;
  }
}

SLUICE_VECTORIZED void TakeZigzags(const int64_t* values, size_t count, uint64_t* out) {
  for (size_t i = 0; i < count; ++i) {
    uint64_t step = static_cast<uint64_t>(values[i]) - static_cast<uint64_t>(values[i - 1]);
    out[i] = (step << 1) ^ (static_cast<int64_t>(step) < 0 ? ~uint64_t{0} : 0);
  }
}

// kGroup values of W bits each to and from W bytes. All shifts are constants once unrolled.
template <int W>
void PackGroup(const uint64_t* values, char* out) {
  if constexpr (W == 0) return;
  uint64_t word = 0;
  int used = 0;
#pragma GCC unroll 8
  for (size_t i = 0; i < kGroup; ++i) {
    word |= values[i] << used;
    used += W;
    if (used >= 64) {
      std::memcpy(out, &word, sizeof(word));
      out += sizeof(word);
      used -= 64;
      word = used == 0 ? 0 : values[i] >> (W - used);
    }
  }
  std::memcpy(out, &word, static_cast<size_t>(used) / 8);
}

// Reads up to eight bytes past the group.
template <int W>
void UnpackGroup(const char* in, uint64_t* values) {
  constexpr uint64_t kMask = W == 64 ? ~uint64_t{0} : (uint64_t{1} << (W % 64)) - 1;
#pragma GCC unroll 8
  for (int i = 0; i < static_cast<int>(kGroup); ++i) {
    uint64_t word;
    std::memcpy(&word, in + i * W / 8, sizeof(word));
    word >>= i * W % 8;
    if (i * W % 8 + W > 64) {
      uint64_t rest = static_cast<uint8_t>(in[i * W / 8 + 8]);
      word |= rest << ((64 - i * W % 8) % 64);
    }
    values[i] = word & kMask;
  }
}

template <int W>
void PackGroups(const uint64_t* values, size_t groups, char* out) {
  for (size_t g = 0; g < groups; ++g) PackGroup<W>(values + g * kGroup, out + g * W);
}

template <int W>
void UnpackGroups(const char* in, size_t groups, uint64_t* values) {
  for (size_t g = 0; g < groups; ++g) UnpackGroup<W>(in + g * W, values + g * kGroup);
}

using Pack = void (*)(const uint64_t*, size_t, char*);
using Unpack = void (*)(const char*, size_t, uint64_t*);

constexpr auto kPackGroups = []<int... W>(std::integer_sequence<int, W...>) {
  return std::array<Pack, sizeof...(W)>{PackGroups<W>...};
}
(std::make_integer_sequence<int, 65>());

constexpr auto kUnpackGroups = []<int... W>(std::integer_sequence<int, W...>) {
  return std::array<Unpack, sizeof...(W)>{UnpackGroups<W>...};
}
(std::make_integer_sequence<int, 65>());

size_t PackedBytes(size_t count, int width) { return (count * static_cast<size_t>(width) + 7) / 8; }

// Calls `take(first, count, piece)` to fill pieces of `count` values one after the other, packs
// them and appends them.
template <typename Take>
void PutPacked(std::string& out, size_t count, int width, Take take) {
  if (width == 0) return;
  Piece piece;
  const size_t begin = out.size();
  const size_t groups = (count + kGroup - 1) / kGroup;
  out.resize(begin + groups * static_cast<size_t>(width));
  char* to = out.data() + begin;
  for (size_t first = 0; first < count; first += kPiece) {
    size_t size = std::min(kPiece, count - first);
    size_t size_in_groups = (size + kGroup - 1) / kGroup;
    take(first, size, piece.data());
    std::fill(piece.begin() + static_cast<ptrdiff_t>(size),
              piece.begin() + static_cast<ptrdiff_t>(size_in_groups * kGroup), 0);
    kPackGroups[static_cast<size_t>(width)](piece.data(), size_in_groups, to);
    to += size_in_groups * static_cast<size_t>(width);
  }
  out.resize(begin + PackedBytes(count, width));
}

template <typename Take>
void PutPlanes(std::string& out, size_t count, int width, Take take) {
  Piece piece;
  const size_t begin = out.size();
  out.resize(begin + count * static_cast<size_t>(width));
  for (size_t first = 0; first < count; first += kPiece) {
    size_t size = std::min(kPiece, count - first);
    take(first, size, piece.data());
    for (int byte = 0; byte < width; ++byte) {
      char* plane = out.data() + begin + static_cast<size_t>(byte) * count + first;
      for (size_t i = 0; i < size; ++i) plane[i] = static_cast<char>(piece[i] >> (8 * byte));
    }
  }
}

void PutQuick(std::string& out, std::span<const int64_t> values) {
  // Narrower than this, steps could save too little to look for it.
  constexpr int kNarrow = 8;
  Ranges ranges;
  MeasureValues(values.data(), values.size(), ranges);
  bool steps = false;
  if (ranges.width() > kNarrow && values.size() > 1) {
    MeasureSteps(values.data(), values.size(), ranges);
    steps = ranges.step_width() < ranges.width();
  }
  const int width = steps ? ranges.step_width() : ranges.width();
  const int64_t base = steps ? ranges.min_step : ranges.min;
  PutByte(out, steps ? kPackedSteps : kPacked);
  PutByte(out, static_cast<uint8_t>(width));
  if (steps) PutZigzag(out, values[0]);
  PutZigzag(out, base);
  if (steps) {
    PutPacked(out, values.size() - 1, width, [&](size_t first, size_t count, uint64_t* piece) {
      TakeSteps(&values[first + 1], count, static_cast<uint64_t>(base), piece);
    });
  } else {
    PutPacked(out, values.size(), width, [&](size_t first, size_t count, uint64_t* piece) {
      TakeOffsets(&values[first], count, static_cast<uint64_t>(base), piece);
    });
  }
}

// Whether the steps have fewer significant bits than the offsets from the smallest value, on the
// whole: what an entropy coder makes of them follows that. Judged by a sample.
bool StepsAreSmaller(std::span<const int64_t> values, int64_t min) {
  // A prime, so as not to see the same part of a repeating pattern only.
  const size_t stride = values.size() < kPiece ? 1 : 7;
  uint64_t offset_bits = 0;
  uint64_t step_bits = 0;
  for (size_t i = 1; i < values.size(); i += stride) {
    uint64_t value = static_cast<uint64_t>(values[i]);
    uint64_t offset = value - static_cast<uint64_t>(min);
    uint64_t step = Zigzag(value - static_cast<uint64_t>(values[i - 1]));
    offset_bits += static_cast<uint64_t>(std::bit_width(offset));
    step_bits += static_cast<uint64_t>(std::bit_width(step));
  }
  return step_bits < offset_bits;
}

void PutDense(std::string& out, std::span<const int64_t> values) {
  Ranges ranges;
  MeasureValues(values.data(), values.size(), ranges);
  const bool steps = ranges.width() > 0 && StepsAreSmaller(values, ranges.min);
  int bits = ranges.width();
  if (steps) {
    MeasureSteps(values.data(), values.size(), ranges);
    bits = std::bit_width(Zigzag(static_cast<uint64_t>(ranges.min_step)) |
                          Zigzag(static_cast<uint64_t>(ranges.max_step)));
  }
  const int width = (bits + 7) / 8;
  PutByte(out, steps ? kPlanesOfSteps : kPlanes);
  PutByte(out, static_cast<uint8_t>(width));
  PutZigzag(out, steps ? values[0] : ranges.min);
  if (steps) {
    PutPlanes(out, values.size() - 1, width, [&](size_t first, size_t count, uint64_t* piece) {
      TakeZigzags(&values[first + 1], count, piece);
    });
  } else {
    PutPlanes(out, values.size(), width, [&](size_t first, size_t count, uint64_t* piece) {
      TakeOffsets(&values[first], count, static_cast<uint64_t>(ranges.min), piece);
    });
  }
}

// Appends `count` values to `out`, whose bytes may end right after the packed ones.
void Unpacked(std::string_view packed, size_t count, int width, uint64_t* out) {
  if (width == 0) {
    std::fill_n(out, count, 0);
    return;
  }
  const size_t bytes_in_group = static_cast<size_t>(width);
  const Unpack unpack = kUnpackGroups[bytes_in_group];
  constexpr size_t kPastGroup = 9;
  size_t groups = count / kGroup;
  // The last groups are read from a copy with room behind.
  size_t near_end = (kPastGroup + bytes_in_group - 1) / bytes_in_group;
  groups -= std::min(groups, near_end);
  unpack(packed.data(), groups, out);
  for (size_t g = groups; g * kGroup < count; ++g) {
    char room[64 + kPastGroup] = {};
    std::string_view bytes = packed.substr(g * bytes_in_group);
    std::memcpy(room, bytes.data(), std::min(bytes.size(), bytes_in_group));
    uint64_t values[kGroup];
    unpack(room, 1, values);
    std::copy_n(values, std::min(kGroup, count - g * kGroup), out + g * kGroup);
  }
}

void Unplaned(std::string_view planes, size_t count, int width, uint64_t* out) {
  std::fill_n(out, count, 0);
  for (int byte = 0; byte < width; ++byte) {
    const char* plane = planes.data() + static_cast<size_t>(byte) * count;
    for (size_t i = 0; i < count; ++i) {
      out[i] |= static_cast<uint64_t>(static_cast<uint8_t>(plane[i])) << (8 * byte);
    }
  }
}

constexpr std::array<int64_t, 4> kUnits = {1, 1'000, 1'000'000, 1'000'000'000};

bool AllDivisible(std::span<const int64_t> values, int64_t unit) {
  return std::all_of(values.begin(), values.end(), [unit](int64_t v) { return v % unit == 0; });
}

}  // namespace

void PutIntegers(std::string& out, std::span<const int64_t> values, Packing packing) {
  if (values.empty()) return;
  packing == Packing::kQuick ? PutQuick(out, values) : PutDense(out, values);
}

std::vector<int64_t> ReadIntegers(ByteReader& reader, size_t count) {
  if (count == 0) return {};
  const uint8_t mode = reader.Byte();
  const int width = reader.Byte();
  const bool steps = mode == kPackedSteps || mode == kPlanesOfSteps;
  const bool planes = mode == kPlanes || mode == kPlanesOfSteps;
  const int64_t first = steps ? reader.Zigzag() : 0;
  const uint64_t base = mode == kPlanesOfSteps ? 0 : static_cast<uint64_t>(reader.Zigzag());
  const size_t stored = steps ? count - 1 : count;
  const bool damaged = mode > kPlanesOfSteps || width > (planes ? 8 : 64);
  const size_t bytes = planes ? stored * static_cast<size_t>(width) : PackedBytes(stored, width);
  std::string_view raw = reader.Raw(damaged ? std::numeric_limits<size_t>::max() : bytes);
  if (!reader.ok()) return {};
  std::vector<int64_t> values(count);
  uint64_t* out = reinterpret_cast<uint64_t*>(values.data()) + (steps ? 1 : 0);
  planes ? Unplaned(raw, stored, width, out) : Unpacked(raw, stored, width, out);
  if (!steps) {
    for (int64_t& value : values) value = static_cast<int64_t>(static_cast<uint64_t>(value) + base);
    return values;
  }
  uint64_t value = static_cast<uint64_t>(first);
  values[0] = first;
  for (size_t i = 0; i < stored; ++i) {
    value += mode == kPlanesOfSteps ? Unzigzag(out[i]) : out[i] + base;
    out[i] = value;
  }
  return values;
}

void PutTimestamps(std::string& out, std::span<const int64_t> timestamps_ns, Packing packing) {
  size_t unit = kUnits.size() - 1;
  while (!AllDivisible(timestamps_ns, kUnits[unit])) --unit;
  PutByte(out, static_cast<uint8_t>(3 * unit));
  if (unit == 0) return PutIntegers(out, timestamps_ns, packing);
  std::vector<int64_t> scaled(timestamps_ns.begin(), timestamps_ns.end());
  for (int64_t& time : scaled) time /= kUnits[unit];
  PutIntegers(out, scaled, packing);
}

std::vector<int64_t> ReadTimestamps(ByteReader& reader, size_t count) {
  const uint8_t exponent = reader.Byte();
  const size_t unit = exponent / 3;
  std::vector<int64_t> timestamps = ReadIntegers(reader, count);
  if (exponent % 3 != 0 || unit >= kUnits.size()) {
    reader.Raw(std::numeric_limits<size_t>::max());
    return {};
  }
  for (int64_t& time : timestamps) {
    time = static_cast<int64_t>(static_cast<uint64_t>(time) * static_cast<uint64_t>(kUnits[unit]));
  }
  return timestamps;
}

}  // namespace sluice::storage
