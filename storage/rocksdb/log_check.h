#ifndef SLUICE_STORAGE_ROCKSDB_LOG_CHECK_H_
#define SLUICE_STORAGE_ROCKSDB_LOG_CHECK_H_

#include <rocksdb/file_system.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice::storage {

// RocksDB, when it is opened, stops at what it cannot read of its write-ahead log, and takes it for
// a write that a crash cut short. What is damaged otherwise would so be lost, and nobody told. This
// tells one from the other, before RocksDB reads the log.
//
// The format of the log is RocksDB's: blocks of 32 KiB with records of a masked CRC-32C of what
// follows, a length of two bytes, a type (whole, first, middle or last part), and that part of a
// batch, which begins with its sequence in eight bytes and its count of operations in four. See
// RocksDB's wiki, "Write Ahead Log File Format".

// What the marks of a store's log have, so that no value that a client has chosen looks like one: a
// file beside the log, of 16 random bytes. Empty where there is none, or it cannot be read.
std::string ReadLogKey(const std::string& path);
// Makes one if there is none; empty where that fails.
std::string ReadOrMakeLogKey(const std::string& path);

// Adds to a batch, which needs nothing after that, up to where the log was on disk before it was
// written: all records with smaller sequences than `next_unsynced`. It is in the log alone. Nothing
// without a key.
void MarkSynced(rocksdb::WriteBatch& batch, std::string_view key, uint64_t next_unsynced);

// Of the first operation of a batch that has been written.
uint64_t SequenceOf(const rocksdb::WriteBatch& batch);

// The end of what can be read of a log.
struct LogEnd {
  // The file, and the byte in it.
  std::string path;
  uint64_t at = 0;
  // Whether what comes there was on disk once: then it is damaged. Otherwise it is what a crash or
  // a loss of power leaves, and was never acknowledged.
  bool is_damage = false;
  // Whether something can be read behind it in that file, and would be cut with it.
  bool cuts_records = false;
  // The files of the log that come after it.
  std::vector<std::string> later_files;
};
// "the log is damaged: …"; of damage.
std::string ToString(const LogEnd& end);

// Where the log of the RocksDB in `path` ends before its files do; nothing where it does not, or
// where there is no log.
//
// Damage is what a record that comes later says, by a mark with the store's key, to have been
// synced; with `unreadable_is_damage` also a file that cannot be read, which is an error otherwise.
// Where a later file goes on with the sequence that is missing, the log was once opened behind a
// cut, and does not end there. Nor is anything said of a cut that nothing proves to be damage and
// that has records before it and in later files: those are for RocksDB.
absl::StatusOr<std::optional<LogEnd>> FindLogEnd(rocksdb::FileSystem& file_system,
                                                 const std::string& path,
                                                 bool unreadable_is_damage = false);

// Makes `end` the end of the files too, as the log has to be locked for. A file of which records
// are cut, and after damage those that come later, are kept in a directory beside,
// `path`.damaged-log.
absl::Status CutLog(rocksdb::FileSystem& file_system, const std::string& path, const LogEnd& end);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_LOG_CHECK_H_
