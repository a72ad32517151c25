#ifndef SLUICE_STORAGE_BLOCK_BLOCK_KEY_H_
#define SLUICE_STORAGE_BLOCK_BLOCK_KEY_H_

#include <compare>
#include <cstddef>
#include <cstdint>

namespace sluice::storage {

// What tells a block from every other of its database.
//
// A partition is a stretch of time: its number is floor(timestamp / partition length). A sequence
// is a block's place in the order of commits; of two writes of the same point the one in the block
// with the higher sequence is later, within one block the one in the later row.
//
// A run is what one merge has made of the blocks of a partition that were neighbours in that order,
// and has a number that was never used before; 0 stands for a block as it was committed. The blocks
// of a run take the highest sequences of those that they replace, so that no two blocks there are
// have the same.
struct BlockKey {
  uint32_t table = 0;
  int64_t partition = 0;
  uint64_t sequence = 0;
  uint64_t run = 0;

  friend auto operator<=>(const BlockKey&, const BlockKey&) = default;
};

// floor(timestamp / length).
inline int64_t PartitionOf(int64_t timestamp_ns, int64_t partition_ns) {
  const int64_t quotient = timestamp_ns / partition_ns;
  return timestamp_ns % partition_ns < 0 ? quotient - 1 : quotient;
}

// A block that is stored.
struct StoredBlock {
  BlockKey key;
  size_t rows = 0;
  // See Block::decoded_bytes.
  size_t decoded_bytes = 0;
  // Directory and body.
  size_t stored_bytes = 0;
  // Whether the body is stored apart from the directory.
  bool has_own_body = false;
  // Its directory, or what it says, cannot be read.
  bool damaged = false;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_BLOCK_KEY_H_
