#ifndef SLUICE_STORAGE_ROCKSDB_LOG_CHECK_H_
#define SLUICE_STORAGE_ROCKSDB_LOG_CHECK_H_

#include <rocksdb/db.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace sluice::storage {

// Whether the write-ahead log of the RocksDB in `path` is whole: DataLoss, with the place, where
// something in it cannot be read and what was written later can. A store that is not there has none
// that is wrong.
//
// RocksDB, when it is opened, stops at what it cannot read, and takes it for the write that a crash
// cut short. At the end of the log it is. Where records come behind that, it was whole once, for
// each record is written after the one before is on disk: what was acknowledged is lost, and
// nobody would be told. The sequence of a record tells one case apart: a store that was opened
// behind such a cut, and written to before the cut log could go, continues where the cut is.
//
// The format of the log is RocksDB's: blocks of 32 KiB with records of a masked CRC-32C of what
// follows, a length of two bytes, a type (whole, first, middle or last part), and that part of a
// batch, which begins with its sequence in eight bytes and its count of operations in four. See
// RocksDB's wiki, "Write Ahead Log File Format".
//
// Files with a smaller number than `oldest` are left out.
absl::Status CheckLog(rocksdb::FileSystem& file_system, const std::string& path,
                      uint64_t oldest = 0);

// The first file of the log that has anything that is in no table, to be asked of a database that
// was opened to be read: what comes before it is waiting for its deletion.
uint64_t OldestNeededLog(rocksdb::DB& db);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_LOG_CHECK_H_
