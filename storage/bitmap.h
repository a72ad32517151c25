#ifndef SLUICE_STORAGE_BITMAP_H_
#define SLUICE_STORAGE_BITMAP_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/packed.h"

namespace sluice::storage {

// Which rows of a column have a value. Bits past the end are zero.
class Bitmap {
 public:
  void Set(size_t position) { Word(position / 64) |= uint64_t{1} << (position % 64); }
  bool Get(size_t position) const {
    return position / 64 < words_.size() && (words_[position / 64] >> (position % 64) & 1) != 0;
  }
  // Sets the first `count` positions, and no other.
  void SetFirst(size_t count) {
    words_.assign(count / 64, ~uint64_t{0});
    if (count % 64 != 0) words_.push_back((uint64_t{1} << (count % 64)) - 1);
  }
  // Sets `count` positions from `begin` on.
  void SetRange(size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count;) {
      const size_t bits = std::min(begin + count - i, 64 - i % 64);
      const uint64_t low = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
      Word(i / 64) |= low << (i % 64);
      i += bits;
    }
  }
  // Sets those of `bits` that are one, as if they began at `begin`.
  void SetWhere(size_t begin, PackedBits bits) {
    for (size_t i = 0; i < bits.bytes().size(); ++i) {
      const uint64_t byte = static_cast<unsigned char>(bits.bytes()[i]);
      if (byte == 0) continue;
      const size_t at = begin + 8 * i;
      Word(at / 64) |= byte << (at % 64);
      if (at % 64 > 56 && byte >> (64 - at % 64) != 0) Word(at / 64 + 1) |= byte >> (64 - at % 64);
    }
  }
  void Clear() { words_.clear(); }

  const std::vector<uint64_t>& words() const { return words_; }
  std::vector<uint64_t>& words() { return words_; }

 private:
  uint64_t& Word(size_t i) {
    if (i >= words_.size()) words_.resize(i + 1);
    return words_[i];
  }

  std::vector<uint64_t> words_;
};

// Finds the value that belongs to a row where only present values are stored: the number of
// present rows before it. Refers to the bitmap, which must not change.
class BitmapRank {
 public:
  BitmapRank() = default;
  explicit BitmapRank(const Bitmap& bitmap) {
    before_.reserve(bitmap.words().size());
    uint32_t count = 0;
    for (uint64_t word : bitmap.words()) {
      before_.push_back(count);
      count += static_cast<uint32_t>(std::popcount(word));
    }
    count_ = count;
  }

  // `position` must be a set bit of `bitmap`.
  size_t Of(const Bitmap& bitmap, size_t position) const {
    uint64_t below = bitmap.words()[position / 64] & ((uint64_t{1} << (position % 64)) - 1);
    return before_[position / 64] + static_cast<size_t>(std::popcount(below));
  }
  // All set bits.
  size_t count() const { return count_; }

 private:
  std::vector<uint32_t> before_;
  size_t count_ = 0;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BITMAP_H_
