#ifndef SLUICE_STORAGE_ROCKSDB_COMMITTER_H_
#define SLUICE_STORAGE_ROCKSDB_COMMITTER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "storage/block/block.h"
#include "storage/block/block_key.h"
#include "storage/rocksdb/engine.h"
#include "storage/store.h"

namespace sluice::storage {

class RocksDbDatabase;

// Writes the commits of all databases: all that wait at one moment become one WriteBatch and one
// sync, whoever they are from. Nobody waits in it: a thread that did, one for each commit, would
// cost ten times as much CPU as the commit.
//
// Commits take effect in the order in which Commit was called, and so do their sequences: a block's
// sequence is its place in the order in which commits become visible. Rows of small commits that
// are neighbours in that order, of one table and partition, become one block.
//
// Two threads take turns: while one tells a group what became of it the other writes the next.
// Safe for use by many threads.
class Committer {
 public:
  // Told of the blocks of every commit, in the order of commits, before their sequences are no
  // longer in flight.
  using Listener = std::function<void(const std::shared_ptr<RocksDbDatabase>& database,
                                      std::vector<StoredBlock> blocks)>;

  Committer(std::shared_ptr<RocksDbEngine> engine, Listener listener);
  // Writes what waits, and takes nothing more: it is refused with Unavailable.
  void Stop();

  // See Database::Commit. Large batches are encoded by the caller's thread.
  void Commit(std::shared_ptr<RocksDbDatabase> database, WriteSet write, Durability durability,
              CommitDone done);

 private:
  // Rows of one table and partition. Encoded, unless they are few.
  struct Piece {
    // Position in the write's tables.
    size_t table;
    int64_t partition;
    std::optional<EncodedBlock> encoded = std::nullopt;
    std::optional<TableBatch> rows = std::nullopt;
  };
  struct Pending {
    std::shared_ptr<RocksDbDatabase> database;
    std::shared_ptr<const DatabaseSchema> judged_by = nullptr;
    size_t max_tables = 0;
    // Pieces name them by position. Some are new or wider than in `judged_by`.
    std::vector<TablePtr> tables = {};
    std::vector<size_t> changed = {};
    std::vector<Piece> pieces = {};
    std::optional<WriterMark> mark = std::nullopt;
    size_t bytes = 0;
    Durability durability;
    CommitDone done = nullptr;
    absl::Status outcome = absl::OkStatus();
  };
  class Group;

  static void Prepare(WriteSet write, int64_t partition_ns, Pending& pending);
  static void AddPieces(size_t table, TableBatch rows, int64_t partition_ns, Pending& pending);
  void Loop();
  bool WriteNext(std::vector<Pending>& group);
  void Write(std::span<Pending> group);

  const std::shared_ptr<RocksDbEngine> engine_;
  const Listener listener_;

  // Held by the thread whose turn it is to write.
  std::mutex turn_;
  // Guards what is below.
  std::mutex mutex_;
  std::condition_variable waiting_changed_;
  std::deque<Pending> waiting_;
  // Where many write at once, so many are waited for a moment.
  size_t worth_writing_ = 1;
  bool stopping_ = false;

  std::vector<std::jthread> threads_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_COMMITTER_H_
