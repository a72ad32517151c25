#include "storage/rocksdb/committer.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <shared_mutex>
#include <tuple>
#include <utility>

#include "storage/block/block_encoder.h"
#include "storage/caught.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/mark.h"
#include "storage/rocksdb/put_block.h"
#include "storage/timestamp.h"

namespace sluice::storage {
namespace {

// Rows up to here are encoded by the committer, together with those of their neighbours: a block
// costs as much as many rows, to encode, to store and to merge.
constexpr size_t kFewRows = 64;
constexpr size_t kFewBytes = 64 << 10;
// Rows of one block that is made of several commits.
constexpr size_t kMaxJoinedRows = 8192;
// One group, so that the first of it does not wait for very many others.
constexpr size_t kMaxGroupBytes = size_t{16} << 20;
constexpr size_t kMaxGroupCommits = 4096;
constexpr std::chrono::microseconds kGatheringTime(200);

// What a batch takes in memory, roughly.
size_t BytesOf(const TableBatch& rows) {
  size_t bytes = rows.row_count() * 2 * sizeof(int64_t);
  for (const BatchColumn& column : rows.columns()) {
    bytes += column.numbers().size() * sizeof(int64_t) + column.strings().bytes().size() +
             column.dictionary().strings().bytes().size();
  }
  return bytes;
}

}  // namespace

// Commits that are written together. Steps go in the order in which they are declared.
class Committer::Group {
 public:
  Group(RocksDbEngine& engine, std::span<Pending> members) : engine_(engine), members_(members) {}

  // Decides who is in: the tables that a commit brings have to be as they were when it was judged.
  void Admit();
  // Makes the blocks and the schemas of those who are.
  void Make();
  // Writes them, shows them, and tells `listener`.
  absl::Status Write(const Listener& listener);

 private:
  // What the group does to one database.
  struct Target {
    std::shared_ptr<RocksDbDatabase> database;
    std::shared_lock<std::shared_mutex> not_dropped;
    std::shared_ptr<const DatabaseSchema> schema;
    std::vector<TablePtr> changed;
    std::vector<StoredBlock> stored;
    // In the order of commits.
    std::vector<const WriterMark*> marks;
  };
  struct NewBlock {
    RocksDbDatabase* database;
    uint32_t table;
    int64_t partition;
    EncodedBlock* encoded = nullptr;
    // Rows that are to be one block, until it is encoded.
    std::optional<TableBatch> rows = std::nullopt;
  };

  absl::Status AdmitOne(Pending& member);
  static bool IsStillSo(const Pending& member, const DatabaseSchema& schema);
  void Add(const Pending& member, Piece& piece);
  absl::Status Store(const Listener& listener, uint64_t first_sequence);

  RocksDbEngine& engine_;
  const std::span<Pending> members_;
  std::map<RocksDbDatabase*, Target> targets_;
  std::vector<NewBlock> blocks_;
  // The block that further rows of a table and partition go into.
  std::map<std::tuple<RocksDbDatabase*, uint32_t, int64_t>, size_t> open_;
  std::vector<EncodedBlock> joined_;
  bool has_marks_ = false;
  Durability durability_ = Durability::kUnsynced;
};

void Committer::Group::Admit() {
  const absl::Status writable = engine_.CheckWritable();
  for (Pending& member : members_) {
    targets_[member.database.get()].database = member.database;
  }
  // In one order, whatever the group.
  for (auto& [database, target] : targets_) {
    target.not_dropped = database->HoldOffDrop();
    target.schema = database->LastView().schema;
  }
  for (Pending& member : members_) {
    member.outcome = writable.ok() ? AdmitOne(member) : writable;
    if (member.outcome.ok() && member.durability == Durability::kSynced) {
      durability_ = Durability::kSynced;
    }
  }
}

absl::Status Committer::Group::AdmitOne(Pending& member) {
  Target& target = targets_.find(member.database.get())->second;
  if (member.database->dropped()) {
    return NoSuchDatabase(member.database->LastView().record->name);
  }
  if (member.changed.empty()) return absl::OkStatus();
  if (!IsStillSo(member, *target.schema)) return absl::AbortedError("the schema has changed");
  std::vector<TablePtr> changed;
  uint32_t next_id = target.schema->next_table_id();
  for (size_t i : member.changed) {
    TablePtr& table = member.tables[i];
    if (table->id() == TableSchema::kNoId) {
      table = std::make_shared<const TableSchema>(table->WithId(next_id++));
    }
    changed.push_back(table);
    target.changed.push_back(table);
  }
  target.schema = std::make_shared<const DatabaseSchema>(target.schema->With(changed));
  return absl::OkStatus();
}

// Whether what a commit brings can be put in: the tables are as they were judged. What others did
// to other tables does not matter, or a large request would never get its turn among many small
// ones.
bool Committer::Group::IsStillSo(const Pending& member, const DatabaseSchema& schema) {
  if (schema.mark() == member.judged_by->mark()) return true;
  size_t new_tables = 0;
  for (size_t i : member.changed) {
    const std::string& name = member.tables[i]->name();
    if (schema.Find(name) != member.judged_by->Find(name)) return false;
    new_tables += member.tables[i]->id() == TableSchema::kNoId ? 1 : 0;
  }
  return new_tables == 0 || schema.table_count() + new_tables <= member.max_tables;
}

void Committer::Group::Make() {
  for (Pending& member : members_) {
    if (!member.outcome.ok()) continue;
    for (Piece& piece : member.pieces) Add(member, piece);
    if (!member.mark) continue;
    targets_.find(member.database.get())->second.marks.push_back(&*member.mark);
    has_marks_ = true;
  }
  joined_.reserve(blocks_.size());
  for (NewBlock& block : blocks_) {
    if (block.rows) block.encoded = &joined_.emplace_back(EncodeBlock(*block.rows));
  }
}

// Rows join those of earlier commits as long as no block of the same table and partition has come
// between, which would be later than some of them and earlier than others.
void Committer::Group::Add(const Pending& member, Piece& piece) {
  const TablePtr& table = member.tables[piece.table];
  const std::tuple place(member.database.get(), table->id(), piece.partition);
  if (piece.encoded) {
    open_.erase(place);
    blocks_.push_back({member.database.get(), table->id(), piece.partition, &*piece.encoded});
    return;
  }
  auto [open, is_new] = open_.try_emplace(place, blocks_.size());
  if (!is_new && blocks_[open->second].rows->row_count() + kFewRows <= kMaxJoinedRows) {
    TableBatch& rows = *blocks_[open->second].rows;
    if (table->columns().size() > rows.table()->columns().size()) rows.set_table(table);
    rows.Append(*piece.rows);
    return;
  }
  open->second = blocks_.size();
  NewBlock block{member.database.get(), table->id(), piece.partition};
  block.rows = *std::move(piece.rows);
  block.rows->set_table(table);
  blocks_.push_back(std::move(block));
}

absl::Status Committer::Group::Write(const Listener& listener) {
  if (blocks_.empty() && !has_marks_) return absl::OkStatus();
  const absl::StatusOr<uint64_t> first = engine_.ReserveSequences(blocks_.size());
  if (!first.ok()) return first.status();
  // Readers know the new columns before the first block that has them can be seen; writers only
  // when the write has succeeded.
  for (auto& [database, target] : targets_) {
    if (!target.changed.empty()) database->SetNextSchema(target.schema);
  }
  const absl::Status stored = Caught([&] { return Store(listener, *first); });
  for (auto& [database, target] : targets_) {
    if (!target.changed.empty() && !stored.ok()) database->SetNextSchema(nullptr);
  }
  engine_.SettleBefore(*first + blocks_.size());
  return stored;
}

absl::Status Committer::Group::Store(const Listener& listener, uint64_t first_sequence) {
  const int64_t now_ns = NowNs();
  rocksdb::WriteBatch batch;
  for (auto& [database, target] : targets_) {
    for (const TablePtr& table : target.changed) {
      batch.Put(database->family(), SchemaKey(table->id()), table->Encode());
    }
    for (const WriterMark* mark : target.marks) {
      batch.Put(database->family(), MarkKey(mark->writer), EncodeMark({mark->sequence, now_ns}));
    }
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const NewBlock& block = blocks_[i];
    const BlockKey key{block.table, block.partition, first_sequence + i, 0};
    const StoredBlock stored = PutBlock(key, *block.encoded, block.database->family(), batch);
    targets_.find(block.database)->second.stored.push_back(stored);
  }
  absl::Status written = engine_.Write(batch, durability_);
  if (!written.ok()) return written;
  // From here on nothing can fail: it is there.
  for (auto& [database, target] : targets_) {
    if (!target.changed.empty()) database->PublishNextSchema();
    for (const StoredBlock& block : target.stored) database->Count(block, 1);
    listener(target.database, std::move(target.stored));
  }
  return absl::OkStatus();
}

Committer::Committer(std::shared_ptr<RocksDbEngine> engine, Listener listener)
    : engine_(std::move(engine)), listener_(std::move(listener)) {
  try {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { Loop(); });
  } catch (...) {
    // There is no second thread to be had: the first would be waited for for ever.
    Stop();
    throw;
  }
}

void Committer::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  waiting_changed_.notify_all();
  threads_.clear();
}

void Committer::Commit(std::shared_ptr<RocksDbDatabase> database, WriteSet write,
                       Durability durability, CommitDone done) {
  Pending pending{.database = std::move(database), .durability = durability};
  absl::Status prepared =
      Caught([&] { Prepare(std::move(write), pending.database->partition_ns(), pending); });
  if (!prepared.ok()) return done(prepared);
  pending.done = std::move(done);
  bool notify = false;
  {
    std::lock_guard lock(mutex_);
    if (!stopping_) {
      waiting_.push_back(std::move(pending));
      // Where others wait already, somebody knows.
      notify = waiting_.size() == 1 || waiting_.size() == worth_writing_;
    }
  }
  if (notify) return waiting_changed_.notify_one();
  if (pending.done) pending.done(absl::UnavailableError("the store is being closed"));
}

void Committer::Prepare(WriteSet write, int64_t partition_ns, Pending& pending) {
  pending.judged_by = std::move(write.judged_by);
  pending.max_tables = write.max_tables;
  pending.mark = std::move(write.mark);
  for (TableBatch& rows : write.batches) {
    const TablePtr& table = rows.table();
    const TablePtr known =
        table->id() == TableSchema::kNoId ? nullptr : pending.judged_by->Find(table->name());
    if (known == nullptr || known->columns().size() < table->columns().size()) {
      pending.changed.push_back(pending.tables.size());
    }
    pending.tables.push_back(table);
    if (rows.row_count() > 0) {
      AddPieces(pending.tables.size() - 1, std::move(rows), partition_ns, pending);
    }
  }
}

// One piece for each partition that the rows fall into, several where they are too many for one
// block.
void Committer::AddPieces(size_t table, TableBatch rows, int64_t partition_ns, Pending& pending) {
  const auto add = [&](int64_t partition, TableBatch&& part) {
    const size_t bytes = BytesOf(part);
    pending.bytes += bytes;
    Piece& piece = pending.pieces.emplace_back(Piece{.table = table, .partition = partition});
    if (part.row_count() <= kFewRows && bytes <= kFewBytes) {
      piece.rows = std::move(part);
    } else {
      piece.encoded = EncodeBlock(part);
    }
  };
  const std::vector<int64_t>& times = rows.timestamps();
  const auto [min, max] = std::minmax_element(times.begin(), times.end());
  const int64_t first = PartitionOf(*min, partition_ns);
  if (first == PartitionOf(*max, partition_ns) && rows.row_count() <= kMaxBlockRows) {
    return add(first, std::move(rows));
  }
  std::vector<uint32_t> order(rows.row_count());
  std::iota(order.begin(), order.end(), 0);
  const auto partition = [&](uint32_t row) { return PartitionOf(times[row], partition_ns); };
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return partition(a) < partition(b); });
  const RowIndex index(rows);
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && end - begin < kMaxBlockRows &&
           partition(order[end]) == partition(order[begin])) {
      ++end;
    }
    TableBatch part(rows.table());
    index.CopyRows(std::span(order).subspan(begin, end - begin), part);
    add(partition(order[begin]), std::move(part));
    begin = end;
  }
}

void Committer::Loop() {
  std::vector<Pending> group;
  // So that to take commits over cannot fail.
  group.reserve(kMaxGroupCommits);
  while (WriteNext(group)) {
    for (Pending& member : group) {
      // Who is told that it is over may count on its memory.
      member.pieces.clear();
      Caught([&] { member.done(std::move(member.outcome)); }).IgnoreError();
    }
    group.clear();
  }
}

// Waits for commits and writes them; false at the end.
bool Committer::WriteNext(std::vector<Pending>& group) {
  std::lock_guard turn(turn_);
  {
    std::unique_lock lock(mutex_);
    waiting_changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    // Those who have just been told come back one after the other: the first should not be written
    // alone, so as many as the last time are waited for. Who is alone waits for others once at
    // most.
    waiting_changed_.wait_for(lock, kGatheringTime,
                              [this] { return stopping_ || waiting_.size() >= worth_writing_; });
    if (waiting_.empty()) return false;
    size_t bytes = 0;
    while (!waiting_.empty() && bytes < kMaxGroupBytes && group.size() < kMaxGroupCommits) {
      bytes += waiting_.front().bytes;
      group.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    worth_writing_ = std::max<size_t>(1, group.size());
  }
  Write(group);
  return true;
}

void Committer::Write(std::span<Pending> members) {
  Group group(*engine_, members);
  const absl::Status written = Caught([&] {
    group.Admit();
    group.Make();
    return group.Write(listener_);
  });
  if (written.ok()) return;
  for (Pending& member : members) {
    if (member.outcome.ok()) member.outcome = written;
  }
}

}  // namespace sluice::storage
