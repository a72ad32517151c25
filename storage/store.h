#ifndef SLUICE_STORAGE_STORE_H_
#define SLUICE_STORAGE_STORE_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup.h"
#include "storage/batch.h"
#include "storage/distribution.h"
#include "storage/names.h"
#include "storage/schema.h"
#include "storage/settings.h"
#include "storage/token_record.h"
#include "storage/value.h"

// The contract between those who know the rules (ingest, query) and those who know bytes. Every
// object is safe for use by many threads unless it says otherwise. Errors, where a comment does not
// say more: NotFound where the database has been dropped; DataLoss for damaged data; Unavailable
// for what later would cure (a full disk, a stall); Internal for any other fault.

namespace sluice::storage {

// What is known of a database besides its points.
struct DatabaseRecord {
  // Never used again after a drop.
  uint32_t id = 0;
  std::string name;
  int64_t create_time_ns = 0;
  DatabaseSettings settings;

  // Points before this are expired, as seen at `now_ns` (contract W-64).
  int64_t MinTimeNs(int64_t now_ns) const {
    return settings.retention_ns ? now_ns - *settings.retention_ns
                                 : std::numeric_limits<int64_t>::min();
  }

  friend bool operator==(const DatabaseRecord&, const DatabaseRecord&) = default;
};

// What is known of a database at one moment, apart from its points. Immutable.
struct DatabaseView {
  std::shared_ptr<const DatabaseRecord> record;
  std::shared_ptr<const DatabaseSchema> schema;
};

// Whether a commit is done when it is on disk, or before.
enum class Durability { kSynced, kUnsynced };

// How far a writer has come that numbers what it writes.
struct WriterMark {
  std::string writer;
  // Of the last that it has written.
  int64_t sequence = 0;
};

// Twice what a client may count on (contract W-87).
inline constexpr int64_t kMarkLifeNs = int64_t{48} * 3600 * 1'000'000'000;

// All that a request adds: either all of it becomes visible and durable or none (contract W-15).
struct WriteSet {
  // What the request was judged by, as View gave it.
  std::shared_ptr<const DatabaseSchema> judged_by;
  // How many tables the database may have with those that this brings.
  size_t max_tables = std::numeric_limits<size_t>::max();
  // The points, at most one batch for each table. The batch of a table that the schema does not
  // have, or that has more columns than there, brings that table with it; the store gives a new one
  // its id.
  std::vector<TableBatch> batches;
  // Takes the place of the one that its writer had.
  std::optional<WriterMark> mark = std::nullopt;
};

// Told once what became of a commit: on any thread, maybe before Commit returns. Must not block.
using CommitDone = absl::AnyInvocable<void(absl::Status)>;

struct TagEquals {
  size_t column;
  std::string value;
};

// Which points to read.
struct ScanSpec {
  TablePtr table;
  // Positions of the columns wanted.
  std::vector<size_t> columns;
  // Nanoseconds, both inclusive.
  int64_t min_time_ns = std::numeric_limits<int64_t>::min();
  int64_t max_time_ns = std::numeric_limits<int64_t>::max();
  // All must hold.
  std::vector<TagEquals> tags;
  // Asked now and then; true ends the scan with Cancelled. None means never.
  std::function<bool()> should_stop = nullptr;
  // Asked before the scan takes so many bytes more of memory, roughly; false ends it with
  // Unavailable. Told with a negative number what it gives back. None means no limit.
  std::function<bool(int64_t bytes)> charge = nullptr;
};

// Some rows of a scan. Texts belong to `owners`.
struct ScanRows {
  std::vector<int64_t> timestamps;
  // A number for each row that no other row of the table has, and that every scan of one snapshot
  // gives it again.
  std::vector<int64_t> row_ids;
  // One vector for each column wanted, each as long as `timestamps`.
  std::vector<std::vector<Value>> columns;
  std::vector<std::shared_ptr<const void>> owners;

  void Clear() {
    timestamps.clear();
    row_ids.clear();
    for (auto& column : columns) column.clear();
    owners.clear();
  }
};

// A running read. For one thread at a time.
class Scan {
 public:
  virtual ~Scan() = default;

  // Replaces `rows` by the next ones; none left means the end. A point that was written several
  // times comes once, merged field by field, the later write first (contract W-65). Rows come in no
  // promised order.
  virtual absl::Status Next(ScanRows& rows) = 0;
};

// A database at one moment: everything committed before it was taken, nothing after.
class Snapshot {
 public:
  virtual ~Snapshot() = default;

  virtual const DatabaseRecord& record() const = 0;
  virtual const DatabaseSchema& schema() const = 0;
  // The snapshot must outlive the scan.
  virtual absl::StatusOr<std::unique_ptr<Scan>> Read(ScanSpec spec) const = 0;
};

class Database {
 public:
  virtual ~Database() = default;

  virtual absl::StatusOr<DatabaseView> View() const = 0;

  // Adds points, and tells `done` when they are visible to every snapshot taken from then on, and
  // with kSynced durable. Does not wait for the disk; what many threads commit at once is written
  // at once. Commits of one thread take effect in the order of their calls, and all commits of a
  // database in one order, in which the later write of a point wins (contract W-65).
  //
  // Aborted, with nothing written, where a table that `write` brings is no longer as it was when
  // that was judged, or there would be too many: judge again and come back.
  virtual void Commit(WriteSet write, Durability durability, CommitDone done) = 0;

  virtual absl::StatusOr<std::shared_ptr<const Snapshot>> TakeSnapshot() const = 0;

  // How far that writer has come, with everything committed before. A mark that is older than
  // kMarkLifeNs may be forgotten.
  virtual absl::StatusOr<std::optional<int64_t>> FindMark(const std::string& writer) const = 0;
};

// A number that a store tells about itself, for those who watch it.
struct Figure {
  // In the manner of Prometheus, without a prefix: "blocks", "merges_total".
  std::string_view name;
  std::string_view help;
  // Whether it only grows.
  bool counts = false;
  double value = 0;
  // In place of a value: how long something took.
  std::optional<Distribution> distribution = std::nullopt;
};

// Of a database that can be served in part only, or not at all.
struct Damage {
  std::string database;
  absl::Status found;
};

// Which databases there are.
class Catalog {
 public:
  virtual ~Catalog() = default;

  // AlreadyExists where there is a database of that name.
  virtual absl::StatusOr<DatabaseRecord> CreateDatabase(const DatabaseName& name,
                                                        const DatabaseSettings& settings) = 0;
  // By name, ascending.
  virtual absl::StatusOr<std::vector<DatabaseRecord>> ListDatabases() const = 0;
  // NotFound where there is none.
  virtual absl::StatusOr<std::shared_ptr<Database>> FindDatabase(
      const DatabaseName& name) const = 0;
  // Changes settings; no other change comes between what `change` sees and what it leaves.
  virtual absl::StatusOr<DatabaseRecord> UpdateDatabase(
      const DatabaseName& name, const std::function<void(DatabaseSettings&)>& change) = 0;
  // The name is free at once. Commits under way end before it or fail with NotFound.
  virtual absl::Status DropDatabase(const DatabaseName& name) = 0;
};

// Which tokens there are.
class TokenTable {
 public:
  virtual ~TokenTable() = default;

  // By name, ascending.
  virtual absl::StatusOr<std::vector<TokenRecord>> ListTokens() const = 0;
  // Stores a token, in place of the one of that name if there is one.
  virtual absl::Status PutToken(const TokenRecord& token) = 0;
  // OK too where there is none of that name.
  virtual absl::Status DeleteToken(const std::string& name) = 0;
  // Calls `changed` after every change of the tokens, by whoever, also another server: who keeps a
  // copy of them lists them again. One listener at a time; null takes it back, and waits for a
  // call under way.
  virtual void WatchTokens(std::function<void()> changed) = 0;
};

// Whether it can be used, and what is to be said about it.
class Condition {
 public:
  virtual ~Condition() = default;

  // What was found damaged when the store was opened. All else of it is served; a database whose
  // schema cannot be read is found with DataLoss, and can be dropped.
  virtual std::vector<Damage> Damages() const = 0;

  // Internal, and why, once a fault of the disk has left the store in a state that only opening it
  // again ends. What was acknowledged is on disk. Costs nothing.
  virtual absl::Status CheckUsable() const = 0;

  // Unavailable, and which, where points cannot be taken now: the store is not usable, the disk is
  // nearly full, or there is more to write than it can keep up with. Costs nothing. Commits are
  // refused by it as well; everything else goes on.
  virtual absl::Status CheckWritable() const = 0;

  // Always the same ones, in the same order.
  virtual std::vector<Figure> Figures() const = 0;
};

class Store : public Catalog, public TokenTable, public Condition {
 public:
  // Made with the store, and the same for all its life; a copy has another. Unique in the world.
  virtual std::string InstanceId() const = 0;

  // Syncs what was acknowledged without waiting for that.
  virtual absl::Status Sync() = 0;

  // Adds a backup of the store to those in `options.dir`, with everything committed before and a
  // prefix of what is committed meanwhile; commits go on. Unavailable where one is under way.
  virtual absl::StatusOr<BackupRecord> Backup(const BackupOptions& options) = 0;
  // See rocksdb/backup.h.
  virtual absl::StatusOr<std::vector<BackupRecord>> ListBackups(const std::string& dir) const = 0;
  virtual absl::Status VerifyBackup(const std::string& dir, uint32_t id) const = 0;
  virtual size_t MendBackup(const std::string& dir, uint32_t id) = 0;
  virtual absl::Status DeleteBackup(const std::string& dir, uint32_t id) = 0;
  virtual absl::Status DeleteOldBackups(const std::string& dir, size_t keep) = 0;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_STORE_H_
