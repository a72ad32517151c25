#include "storage/integers.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace sluice::storage {
namespace {

enum Mode : uint8_t { kPlain = 0, kDelta = 1 };

int64_t Minus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

int64_t Plus(int64_t a, uint64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + b); }

// The smallest value and the bits that the largest distance from it takes.
struct Range {
  int64_t min = std::numeric_limits<int64_t>::max();
  int64_t max = std::numeric_limits<int64_t>::min();

  void Add(int64_t value) {
    min = std::min(min, value);
    max = std::max(max, value);
  }
  int width() const { return std::bit_width(static_cast<uint64_t>(Minus(max, min))); }
};

size_t PackedBytes(size_t count, int width) { return (count * static_cast<size_t>(width) + 7) / 8; }

// Appends bits to a string, 64 at a time.
class BitWriter {
 public:
  BitWriter(std::string& out, size_t count, int width) : out_(out), width_(width) {
    out_.reserve(out_.size() + PackedBytes(count, width) + sizeof(word_));
  }

  void Put(uint64_t value) {
    word_ |= value << used_;
    used_ += width_;
    if (used_ < 64) return;
    PutLe64(out_, word_);
    used_ -= 64;
    // The high bits that did not fit; a shift by 64 is undefined.
    word_ = used_ == 0 ? 0 : value >> (width_ - used_);
  }

  void Finish() {
    for (; used_ > 0; used_ -= 8, word_ >>= 8) PutByte(out_, static_cast<uint8_t>(word_));
  }

 private:
  std::string& out_;
  const int width_;
  uint64_t word_ = 0;
  int used_ = 0;
};

class BitReader {
 public:
  BitReader(std::string_view packed, int width)
      : packed_(packed),
        width_(width),
        mask_(width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1) {}

  uint64_t Next() {
    size_t byte = bit_ / 8;
    int shift = static_cast<int>(bit_ % 8);
    bit_ += static_cast<size_t>(width_);
    uint64_t value = Load(byte) >> shift;
    if (shift + width_ > 64) value |= Load(byte + 8) << (64 - shift);
    return value & mask_;
  }

 private:
  uint64_t Load(size_t byte) const {
    uint64_t word = 0;
    if (byte + sizeof(word) <= packed_.size()) {
      std::memcpy(&word, packed_.data() + byte, sizeof(word));
    } else if (byte < packed_.size()) {
      std::memcpy(&word, packed_.data() + byte, packed_.size() - byte);
    }
    return word;
  }

  std::string_view packed_;
  const int width_;
  const uint64_t mask_;
  size_t bit_ = 0;
};

}  // namespace

void PutIntegers(std::string& out, std::span<const int64_t> values) {
  if (values.empty()) return;
  Range plain;
  Range delta;
  plain.Add(values[0]);
  for (size_t i = 1; i < values.size(); ++i) {
    plain.Add(values[i]);
    delta.Add(Minus(values[i], values[i - 1]));
  }
  bool use_delta = values.size() > 1 && delta.width() < plain.width();
  const Range& range = use_delta ? delta : plain;
  PutByte(out, use_delta ? kDelta : kPlain);
  PutByte(out, static_cast<uint8_t>(range.width()));
  if (use_delta) PutZigzag(out, values[0]);
  PutZigzag(out, range.min);
  if (range.width() == 0) return;
  BitWriter writer(out, values.size(), range.width());
  for (size_t i = use_delta ? 1 : 0; i < values.size(); ++i) {
    int64_t value = use_delta ? Minus(values[i], values[i - 1]) : values[i];
    writer.Put(static_cast<uint64_t>(Minus(value, range.min)));
  }
  writer.Finish();
}

std::vector<int64_t> ReadIntegers(ByteReader& reader, size_t count) {
  if (count == 0) return {};
  uint8_t mode = reader.Byte();
  int width = reader.Byte();
  int64_t previous = mode == kDelta ? reader.Zigzag() : 0;
  int64_t base = reader.Zigzag();
  size_t offsets = mode == kDelta ? count - 1 : count;
  bool damaged = mode > kDelta || width > 64;
  std::string_view packed =
      reader.Raw(damaged ? std::numeric_limits<size_t>::max() : PackedBytes(offsets, width));
  if (!reader.ok()) return {};
  std::vector<int64_t> values;
  values.reserve(count);
  BitReader bits(packed, width);
  if (mode == kDelta) values.push_back(previous);
  while (values.size() < count) {
    int64_t value = Plus(base, width == 0 ? 0 : bits.Next());
    if (mode == kDelta) value = previous = Plus(previous, static_cast<uint64_t>(value));
    values.push_back(value);
  }
  return values;
}

}  // namespace sluice::storage
