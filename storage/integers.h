#ifndef SLUICE_STORAGE_INTEGERS_H_
#define SLUICE_STORAGE_INTEGERS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/bytes.h"

namespace sluice::storage {

// A sequence of integers whose number the reader knows:
//
//   integers := mode:byte width:byte [first:zigzag] base:zigzag packed
//
// Each value is base plus an offset of `width` (0 to 64) bits; the offsets are packed least
// significant bit first into ceil(count * width / 8) bytes. In mode 0 the values are the numbers
// themselves; in mode 1 they are the differences from the number before, and `first` is the first
// number. Arithmetic is modulo 2^64. The narrower mode is chosen. No numbers are no bytes.

// Appends `values` to `out`.
void PutIntegers(std::string& out, std::span<const int64_t> values);

// Reads `count` integers; on damaged input reader.ok() is false and the result is empty.
std::vector<int64_t> ReadIntegers(ByteReader& reader, size_t count);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_INTEGERS_H_
