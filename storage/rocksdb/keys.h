#ifndef SLUICE_STORAGE_ROCKSDB_KEYS_H_
#define SLUICE_STORAGE_ROCKSDB_KEYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/block/block_key.h"

// The keys of the store, in the words of bytes.h.
//
// Default column family, the catalog:
//
//   'd' name           a database: its record, see store.cc
//   'x' id:be32        a database that is dropped, as long as its column family is there: nothing
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
//   'w' writer                                               how far a writer has come, see
//                                                            WriterMark: its sequence, and the time
//                                                            in nanoseconds, zigzag
//
// block_key.h says what the parts are. A partition is stored with its sign bit turned, so that keys
// sort by time. No key of a block is ever used twice.

namespace sluice::storage {

inline constexpr char kDatabaseKeyTag = 'd';
inline constexpr char kDroppedKeyTag = 'x';
inline constexpr char kTokenKeyTag = 't';
inline constexpr char kSchemaKeyTag = 's';
inline constexpr char kBlockKeyTag = 'b';
inline constexpr char kBodyKeyTag = 'c';
inline constexpr char kMarkKeyTag = 'w';
inline constexpr std::string_view kNextDatabaseIdKey = "i";
inline constexpr std::string_view kSequenceCeilingKey = "q";

// Of the keys of a partition's blocks, up to the sequence.
inline constexpr size_t kPartitionPrefixBytes = 1 + 4 + 8;

std::string DatabaseKey(std::string_view name);
std::string DroppedKey(uint32_t id);
std::string TokenKey(std::string_view name);
std::string SchemaKey(uint32_t table);
std::string MarkKey(std::string_view writer);
// Of the directory.
std::string Encode(const BlockKey& key);
std::string BodyKey(const BlockKey& key);
// Nothing where `bytes` is not a block's key.
std::optional<BlockKey> DecodeBlockKey(std::string_view bytes);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_KEYS_H_
