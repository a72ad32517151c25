#ifndef SLUICE_STORAGE_BLOCK_INTEGERS_H_
#define SLUICE_STORAGE_BLOCK_INTEGERS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/bytes.h"

namespace sluice::storage {

// A sequence of integers whose number the reader knows; no numbers are no bytes:
//
//   integers := mode:byte(0) width:byte base:zigzag packed                  offsets from base
//             | mode:byte(1) width:byte first:zigzag base:zigzag packed     steps, as offsets
//             | mode:byte(2) width:byte base:zigzag planes                  offsets from base
//             | mode:byte(3) width:byte first:zigzag planes                 steps, as zigzag
//
// Steps are the differences from the number before; there is one less than numbers. Packed values
// have `width` (0 to 64) bits each, least significant first, in ceil(count * width / 8) bytes.
// Planes are `width` (0 to 8) times as many bytes as there are values: first the lowest byte of
// each, then the next. Arithmetic is modulo 2^64.
//
// timestamps := exponent:byte integers     each timestamp divided by 10^exponent (0, 3, 6 or 9)

enum class Packing {
  // Packed bits: small as it is, and made in a few instructions for each number.
  kQuick,
  // Planes of bytes: for a compressor to make small.
  kDense,
};

// Appends `values` to `out`.
void PutIntegers(std::string& out, std::span<const int64_t> values, Packing packing);

// Reads `count` integers; on damaged input reader.ok() is false and the result is empty.
std::vector<int64_t> ReadIntegers(ByteReader& reader, size_t count);

void PutTimestamps(std::string& out, std::span<const int64_t> timestamps_ns, Packing packing);
std::vector<int64_t> ReadTimestamps(ByteReader& reader, size_t count);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_INTEGERS_H_
