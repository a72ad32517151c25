#ifndef SLUICE_STORAGE_ROCKSDB_PUT_BLOCK_H_
#define SLUICE_STORAGE_ROCKSDB_PUT_BLOCK_H_

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "storage/block/block.h"
#include "storage/block/block_key.h"

namespace sluice::storage {

// Puts a block under its key, a large body under one of its own.
StoredBlock PutBlock(const BlockKey& key, const EncodedBlock& block,
                     rocksdb::ColumnFamilyHandle* family, rocksdb::WriteBatch& batch);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_PUT_BLOCK_H_
