#ifndef SLUICE_STORAGE_KEYS_H_
#define SLUICE_STORAGE_KEYS_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The keys of the store, in the words of bytes.h.
//
// Default column family, the catalog:
//
//   'd' name           a database: its record, see rocksdb_store.cc
//   't' name           a token: its record, see token_record.cc
//   'i'                the id of the next new database: be32
//   'q'                sequences below this may be in use: be64
//
// A database's column family, named "db-" and its id:
//
//   's' table:be32                                           a table's schema, see schema.cc
//   'b' table:be32 partition:be64 sequence:be64 run:be64     a block's directory, and its body
//                                                            where that is small, see block.h
//   'c' table:be32 partition:be64 sequence:be64 run:be64     the body otherwise
//
// A partition is a stretch of time: its number is floor(timestamp / partition length), stored with
// its sign bit turned so that keys sort by time. A sequence is a block's place in the order of
// commits; of two writes of the same point the one in the block with the higher sequence is later,
// within one block the one in the later row.
//
// A run is what one merge has made of the blocks of a partition that were neighbours in that order,
// and has a number that was never used before; 0 stands for a block as it was committed. The blocks
// of a run take the highest sequences of those that they replace, so that no two blocks there are
// have the same, and no key is ever used twice.

namespace sluice::storage {

struct BlockKey {
  uint32_t table = 0;
  int64_t partition = 0;
  uint64_t sequence = 0;
  uint64_t run = 0;

  friend auto operator<=>(const BlockKey&, const BlockKey&) = default;
};

inline constexpr char kDatabaseKeyTag = 'd';
inline constexpr char kTokenKeyTag = 't';
inline constexpr char kSchemaKeyTag = 's';
inline constexpr char kBlockKeyTag = 'b';
inline constexpr char kBodyKeyTag = 'c';
inline constexpr std::string_view kNextDatabaseIdKey = "i";
inline constexpr std::string_view kSequenceCeilingKey = "q";

std::string DatabaseKey(std::string_view name);
std::string TokenKey(std::string_view name);
std::string SchemaKey(uint32_t table);
// Of the directory.
std::string Encode(const BlockKey& key);
std::string BodyKey(const BlockKey& key);
// Nothing where `bytes` is not a block's key.
std::optional<BlockKey> DecodeBlockKey(std::string_view bytes);

// floor(timestamp / length).
int64_t PartitionOf(int64_t timestamp_ns, int64_t partition_ns);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_KEYS_H_
