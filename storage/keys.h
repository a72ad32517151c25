#ifndef SLUICE_STORAGE_KEYS_H_
#define SLUICE_STORAGE_KEYS_H_

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
//   's' table:be32                                   a table's schema, see schema.cc
//   'b' table:be32 partition:be64 sequence:be64      a block, see block.cc
//
// A partition is a stretch of time: its number is floor(timestamp / partition length), stored with
// its sign bit turned so that keys sort by time. A sequence is a block's place in the order of
// commits; of two writes of the same point the one in the block with the higher sequence is later,
// within one block the one in the later row. A merged block takes the highest sequence of the
// blocks that it replaces, and only neighbours in that order may be merged.

namespace sluice::storage {

struct BlockKey {
  uint32_t table = 0;
  int64_t partition = 0;
  uint64_t sequence = 0;
};

inline constexpr char kDatabaseKeyTag = 'd';
inline constexpr char kTokenKeyTag = 't';
inline constexpr char kSchemaKeyTag = 's';
inline constexpr char kBlockKeyTag = 'b';
inline constexpr std::string_view kNextDatabaseIdKey = "i";
inline constexpr std::string_view kSequenceCeilingKey = "q";

std::string DatabaseKey(std::string_view name);
std::string TokenKey(std::string_view name);
std::string SchemaKey(uint32_t table);
std::string Encode(const BlockKey& key);
// Nothing where `bytes` is not a block's key.
std::optional<BlockKey> DecodeBlockKey(std::string_view bytes);

// floor(timestamp / length).
int64_t PartitionOf(int64_t timestamp_ns, int64_t partition_ns);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_KEYS_H_
