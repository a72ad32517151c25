#ifndef SLUICE_STORAGE_BITMAP_H_
#define SLUICE_STORAGE_BITMAP_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::storage {

// Which rows of a column have a value. Bits past the end are zero.
class Bitmap {
 public:
  void Set(size_t position) {
    if (position / 64 >= words_.size()) words_.resize(position / 64 + 1);
    words_[position / 64] |= uint64_t{1} << (position % 64);
  }
  bool Get(size_t position) const {
    return position / 64 < words_.size() && (words_[position / 64] >> (position % 64) & 1) != 0;
  }
  // Sets the first `count` positions, and no other.
  void SetFirst(size_t count) {
    words_.assign(count / 64, ~uint64_t{0});
    if (count % 64 != 0) words_.push_back((uint64_t{1} << (count % 64)) - 1);
  }
  void Clear() { words_.clear(); }

  const std::vector<uint64_t>& words() const { return words_; }
  std::vector<uint64_t>& words() { return words_; }

 private:
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
