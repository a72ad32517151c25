#include "storage/rocksdb/put_block.h"

#include <string>

#include "storage/rocksdb/keys.h"

namespace sluice::storage {
namespace {

// Bodies up to here stand behind their directories. Larger ones have a key of their own, so that
// what passes a block over does not read them.
constexpr size_t kMaxInlineBytes = 4096;

}  // namespace

StoredBlock PutBlock(const BlockKey& key, const EncodedBlock& block,
                     rocksdb::ColumnFamilyHandle* family, rocksdb::WriteBatch& batch) {
  const bool has_own_body = block.body.size() > kMaxInlineBytes;
  const std::string key_bytes = Encode(key);
  const rocksdb::Slice key_part(key_bytes);
  const rocksdb::Slice value_parts[] = {block.directory, block.body};
  batch.Put(family, rocksdb::SliceParts(&key_part, 1),
            rocksdb::SliceParts(value_parts, has_own_body ? 1 : 2));
  if (has_own_body) batch.Put(family, BodyKey(key), block.body);
  return {.key = key,
          .rows = block.row_count,
          .decoded_bytes = block.decoded_bytes,
          .stored_bytes = block.directory.size() + block.body.size(),
          .has_own_body = has_own_body};
}

}  // namespace sluice::storage
