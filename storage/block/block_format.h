#ifndef SLUICE_STORAGE_BLOCK_BLOCK_FORMAT_H_
#define SLUICE_STORAGE_BLOCK_BLOCK_FORMAT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// What block_encoder.cc writes and block.cc reads; the grammar stands in block.h.

namespace sluice::storage {

inline constexpr uint8_t kBlockVersion = 2;
inline constexpr uint8_t kSortedFlag = 1;
inline constexpr size_t kMaxBoundBytes = 64;

// How floats are stored: as planes, or, from here on, as integers by this many decimals.
inline constexpr uint8_t kFloatPlanes = 0;
inline constexpr uint8_t kFloatDecimals = 1;
inline constexpr std::array<double, 10> kPowersOfTen = {1,   1e1, 1e2, 1e3, 1e4,
                                                        1e5, 1e6, 1e7, 1e8, 1e9};

// A tag's text as a bound.
inline std::string_view Bound(std::string_view text) { return text.substr(0, kMaxBoundBytes); }

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_BLOCK_FORMAT_H_
