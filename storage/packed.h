#ifndef SLUICE_STORAGE_PACKED_H_
#define SLUICE_STORAGE_PACKED_H_

#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

namespace sluice::storage {

// Numbers of a fixed width, little-endian and one behind the other, wherever they begin. Does not
// own them.
template <typename Number>
class Packed {
 public:
  Packed() = default;
  // What is left over at the end counts for nothing.
  explicit Packed(std::string_view bytes) : bytes_(bytes) {}
  explicit Packed(const std::vector<Number>& numbers)
      : bytes_(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)) {}

  size_t size() const { return bytes_.size() / sizeof(Number); }
  bool empty() const { return size() == 0; }
  Number operator[](size_t i) const {
    Number number;
    std::memcpy(&number, bytes_.data() + i * sizeof(Number), sizeof(Number));
    return number;
  }
  // To the end of `out`.
  void AppendTo(std::vector<Number>& out) const {
    const size_t before = out.size();
    out.resize(before + size());
    if (!empty()) std::memcpy(out.data() + before, bytes_.data(), size() * sizeof(Number));
  }

 private:
  std::string_view bytes_;
};

// Bits, the least significant of each byte first. Does not own them.
class PackedBits {
 public:
  PackedBits() = default;
  explicit PackedBits(std::string_view bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }
  bool operator[](size_t i) const {
    return (static_cast<unsigned char>(bytes_[i / 8]) >> (i % 8) & 1) != 0;
  }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_PACKED_H_
