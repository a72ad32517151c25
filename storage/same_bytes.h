#ifndef SLUICE_STORAGE_SAME_BYTES_H_
#define SLUICE_STORAGE_SAME_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sluice::storage {

// As memcmp(a, b, size) == 0, without the call: names are short, and mostly the same.
inline bool SameBytes(const char* a, const char* b, size_t size) {
  auto differ = [a, b]<typename Word>(size_t at, Word) {
    Word left;
    Word right;
    std::memcpy(&left, a + at, sizeof(Word));
    std::memcpy(&right, b + at, sizeof(Word));
    return left != right;
  };
  if (size >= 8) {
    // The last word overlaps the one before.
    for (size_t at = 0; at + 8 < size; at += 8) {
      if (differ(at, uint64_t{})) return false;
    }
    return !differ(size - 8, uint64_t{});
  }
  if (size >= 4) return !differ(0, uint32_t{}) && !differ(size - 4, uint32_t{});
  for (size_t at = 0; at < size; ++at) {
    if (a[at] != b[at]) return false;
  }
  return true;
}

inline bool SameText(std::string_view a, std::string_view b) {
  return a.size() == b.size() && SameBytes(a.data(), b.data(), a.size());
}

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_SAME_BYTES_H_
