// Merging, expiry and drops in the background, seen through the store; and a process that is killed
// in the middle of them.

#include "storage/block/compactor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "storage/block/block_encoder.h"
#include "storage/rocksdb/engine.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/store.h"
#include "storage/timestamp.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDay = 86400 * kSecond;

TablePtr Cpu() {
  auto cpu = std::make_shared<TableSchema>(TableSchema::kNoId, "cpu");
  cpu->Add("host", ColumnType::kTag);
  cpu->Add("user", ColumnType::kInteger);
  cpu->Add("note", ColumnType::kString);
  return cpu;
}

struct Point {
  int64_t time;
  std::string host;
  int64_t user;
  std::string note = "";
};

// What has been written, and so what must be read.
using Model = std::map<std::pair<int64_t, std::string>, int64_t>;

RocksDbOptions Eager(std::function<void(CompactionStep)> at_step = nullptr) {
  return {.compaction = {.threads = 2,
                         .quiet = milliseconds(30),
                         .expiry_period = milliseconds(50),
                         .at_step = std::move(at_step)}};
}

RocksDbOptions WithoutCompaction() { return {.compaction = {.threads = 0}}; }

DatabaseName Name(const std::string& text) { return DatabaseName::Parse(text).value(); }

absl::Status Write(Database& database, const std::vector<Point>& points) {
  WriteSet write;
  write.judged_by = fixture::SchemaOf(database);
  TablePtr table = fixture::SchemaOf(database)->Find("cpu");
  if (table == nullptr) table = Cpu();
  TableBatch& batch = write.batches.emplace_back(table);
  for (const Point& point : points) {
    const uint32_t set = batch.AddSet();
    batch.AddTag(0, point.host);
    batch.AddRow(set, point.time);
    batch.AddNumber(1, point.user);
    if (!point.note.empty()) batch.AddString(2, point.note);
  }
  return fixture::Commit(database, std::move(write));
}

// All points; a point that comes twice is an error.
Model Read(const Database& database) {
  Model model;
  auto snapshot = database.TakeSnapshot().value();
  ScanSpec spec;
  spec.table = snapshot->schema().Find("cpu");
  if (spec.table == nullptr) return model;
  spec.columns = {0, 1};
  auto scan = snapshot->Read(spec).value();
  ScanRows rows;
  while (true) {
    absl::Status next = scan->Next(rows);
    EXPECT_TRUE(next.ok()) << next;
    if (!next.ok() || rows.timestamps.empty()) return model;
    for (size_t i = 0; i < rows.timestamps.size(); ++i) {
      auto key = std::pair(rows.timestamps[i],
                           std::string(std::get<std::string_view>(rows.columns[0][i])));
      EXPECT_TRUE(model.emplace(key, std::get<int64_t>(rows.columns[1][i])).second)
          << key.first << " " << key.second;
    }
  }
}

// Some commits of points that are partly written again, over two partitions.
void WriteSome(Database& database, uint32_t seed, int commits, Model& model) {
  std::mt19937 random(seed);
  for (int c = 0; c < commits; ++c) {
    std::vector<Point> points;
    for (int i = 0; i < 20; ++i) {
      Point point{static_cast<int64_t>(random() % 200) * kSecond + (i % 2) * kDay,
                  fmt::format("h{}", random() % 5), static_cast<int64_t>(random() % 1000)};
      points.push_back(point);
      model[{point.time, point.host}] = point.user;
    }
    ASSERT_TRUE(Write(database, points).ok());
  }
}

bool Within(milliseconds time, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

// Whether all is merged that is worth it: of a partition, a few runs are left, each less than half
// of the one before.
bool IsMerged(const Store& store) {
  constexpr int64_t kPartitions = 2;
  return fixture::FigureOf(store, "blocks") <= kPartitions * 6;
}

bool GetsMerged(const Store& store) {
  return Within(milliseconds(20000), [&] { return IsMerged(store); });
}

uint64_t FileBytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory + "/rocksdb")) {
    if (file.path().extension() == ".sst") bytes += file.file_size();
  }
  return bytes;
}

class CompactorTest : public testing::Test {
 protected:
  void Open(const RocksDbOptions& options) {
    database_.reset();
    store_.reset();
    store_ = OpenRocksDbStore(dir_.path(), options).value();
    auto database = store_->FindDatabase(Name("demo"));
    if (database.ok()) database_ = *database;
  }
  void Create(const DatabaseSettings& settings = {}) {
    ASSERT_TRUE(store_->CreateDatabase(Name("demo"), settings).ok());
    database_ = store_->FindDatabase(Name("demo")).value();
  }

  fixture::TempDir dir_;
  std::unique_ptr<Store> store_;
  std::shared_ptr<Database> database_;
};

TEST_F(CompactorTest, MergesAllThereIsWhenItIsQuiet) {
  Open(Eager());
  Create();
  Model model;
  WriteSome(*database_, 1, 100, model);
  ASSERT_TRUE(GetsMerged(*store_));
  EXPECT_GE(fixture::FigureOf(*store_, "merged_rows_total"), 1000);
  EXPECT_EQ(fixture::FigureOf(*store_, "merge_failures_total"), 0);
  EXPECT_EQ(Read(*database_), model);
  // As it is on disk, too; and later commits are still later.
  Open(Eager());
  EXPECT_TRUE(IsMerged(*store_));
  EXPECT_EQ(Read(*database_), model);
  WriteSome(*database_, 2, 3, model);
  EXPECT_EQ(Read(*database_), model);
  ASSERT_TRUE(GetsMerged(*store_));
  EXPECT_EQ(Read(*database_), model);
}

TEST_F(CompactorTest, MergesWhatAnEarlierProcessLeft) {
  Open(WithoutCompaction());
  Create();
  Model model;
  WriteSome(*database_, 3, 20, model);
  EXPECT_EQ(fixture::FigureOf(*store_, "unmerged_blocks"), 40);
  Open(Eager());
  ASSERT_TRUE(GetsMerged(*store_));
  EXPECT_EQ(Read(*database_), model);
}

TEST_F(CompactorTest, AnEarlierProcessMayLeaveMuchMoreThanOneMergeTakes) {
  Open(WithoutCompaction());
  Create();
  Model model;
  WriteSome(*database_, 3, 300, model);
  EXPECT_EQ(fixture::FigureOf(*store_, "unmerged_blocks"), 600);
  RocksDbOptions options = Eager();
  // A hundred rows, of which each partition has three thousand.
  options.compaction.max_merge_bytes = 100 * 128;
  Open(options);
  EXPECT_TRUE(Within(milliseconds(20000),
                     [&] { return fixture::FigureOf(*store_, "unmerged_blocks") <= 2; }));
  EXPECT_EQ(Read(*database_), model);
}

TEST_F(CompactorTest, AReaderSeesItsMomentWhileBlocksAreReplaced) {
  Open(WithoutCompaction());
  Create();
  Model model;
  WriteSome(*database_, 4, 200, model);
  Open(Eager());
  auto snapshot = database_->TakeSnapshot().value();
  const int64_t blocks = fixture::FigureOf(*store_, "blocks");
  ScanSpec spec;
  spec.table = snapshot->schema().Find("cpu");
  auto scan = snapshot->Read(spec).value();
  ASSERT_TRUE(GetsMerged(*store_));
  EXPECT_LT(fixture::FigureOf(*store_, "blocks"), blocks);
  size_t count = 0;
  ScanRows rows;
  while (scan->Next(rows).ok() && !rows.timestamps.empty()) count += rows.timestamps.size();
  EXPECT_EQ(count, model.size());
}

TEST_F(CompactorTest, IsRightAmongConcurrentWritersReadersAndDrops) {
  Open(Eager());
  Create();
  ASSERT_TRUE(Write(*database_, {{0, "first", 0}}).ok());
  std::atomic<bool> done = false;
  std::vector<std::thread> writers;
  // Each writer has its own hosts, writes every point twice, and so knows what the last value is.
  constexpr int64_t kPoints = 300;
  for (int64_t w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      const std::string host = fmt::format("w{}", w);
      for (int64_t i = 0; i < kPoints; ++i) {
        EXPECT_TRUE(Write(*database_, {{i * kSecond, host, i}}).ok());
        EXPECT_TRUE(Write(*database_, {{i * kSecond, host, i + 1}}).ok());
      }
    });
  }
  std::thread reader([&] {
    size_t last = 0;
    while (!done) {
      const size_t now = Read(*database_).size();
      EXPECT_GE(now, last);
      last = now;
    }
  });
  std::thread dropper([&] {
    for (int i = 0; !done; ++i) {
      const DatabaseName name = Name(fmt::format("other{}", i));
      ASSERT_TRUE(store_->CreateDatabase(name, {}).ok());
      auto other = store_->FindDatabase(name).value();
      for (int64_t p = 0; p < 40; ++p) ASSERT_TRUE(Write(*other, {{p, "x", p}}).ok());
      ASSERT_TRUE(store_->DropDatabase(name).ok());
      EXPECT_TRUE(absl::IsNotFound(Write(*other, {{1, "x", 1}})));
    }
  });
  for (std::thread& writer : writers) writer.join();
  done = true;
  reader.join();
  dropper.join();
  Model expected = {{{0, "first"}, 0}};
  for (int64_t w = 0; w < 4; ++w) {
    for (int64_t i = 0; i < kPoints; ++i) expected[{i * kSecond, fmt::format("w{}", w)}] = i + 1;
  }
  EXPECT_EQ(Read(*database_), expected);
  ASSERT_TRUE(GetsMerged(*store_));
  EXPECT_EQ(Read(*database_), expected);
  EXPECT_GT(fixture::FigureOf(*store_, "merges_total"), 1);
  EXPECT_EQ(fixture::FigureOf(*store_, "merge_failures_total"), 0);
}

// Overwrites the value of the nth directory in the first database.
void Damage(const std::string& directory, int nth) {
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  auto engine = RocksDbEngine::Open(directory + "/rocksdb", {}, families).value();
  std::string key;
  {
    std::unique_ptr<rocksdb::Iterator> it(
        engine->db().NewIterator(rocksdb::ReadOptions(), families[1]));
    it->Seek(std::string(1, kBlockKeyTag));
    for (int i = 0; i < nth; ++i) it->Next();
    key = it->key().ToString();
  }
  ASSERT_TRUE(engine->db().Put(rocksdb::WriteOptions(), families[1], key, "nonsense").ok());
  for (auto* family : families) engine->db().DestroyColumnFamilyHandle(family);
}

TEST_F(CompactorTest, ADamagedBlockDoesNotKeepItsNeighboursFromBeingMerged) {
  Open(WithoutCompaction());
  Create();
  for (int64_t i = 0; i < 60; ++i) ASSERT_TRUE(Write(*database_, {{i, "a", i}}).ok());
  database_.reset();
  store_.reset();
  Damage(dir_.path(), 20);
  Open(Eager());
  ASSERT_NE(database_, nullptr);
  ASSERT_TRUE(GetsMerged(*store_));
  // Those before it, itself, and those after it.
  EXPECT_GE(fixture::FigureOf(*store_, "blocks"), 3);
  auto snapshot = database_->TakeSnapshot().value();
  ScanSpec spec;
  spec.table = snapshot->schema().Find("cpu");
  auto scan = snapshot->Read(spec).value();
  ScanRows rows;
  EXPECT_EQ(scan->Next(rows).code(), absl::StatusCode::kDataLoss);
}

TEST_F(CompactorTest, ManyPartitionsTakeTurns) {
  Open(Eager());
  Create();
  // Points scattered over thirty days.
  Model model;
  for (int64_t c = 0; c < 80; ++c) {
    std::vector<Point> points;
    for (int64_t day = 0; day < 30; ++day) {
      points.push_back({day * kDay + c % 40, "h", c});
      model[{day * kDay + c % 40, "h"}] = c;
    }
    ASSERT_TRUE(Write(*database_, points).ok());
  }
  EXPECT_TRUE(
      Within(milliseconds(20000), [&] { return fixture::FigureOf(*store_, "blocks") <= 30 * 6; }));
  EXPECT_EQ(Read(*database_), model);
}

// Text that does not compress.
std::string Noise(std::mt19937& random, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(' ' + random() % 90));
  return text;
}

TEST_F(CompactorTest, ExpiredPartitionsGiveTheirDiskBack) {
  Open(Eager());
  Create({.retention_ns = 3650 * kDay});
  std::mt19937 random(1);
  const int64_t now = NowNs();
  for (int i = 0; i < 20; ++i) {
    std::vector<Point> points;
    for (int64_t p = 0; p < 1000; ++p) {
      points.push_back({now - 30 * kDay + p, "old", i, Noise(random, 500)});
    }
    points.push_back({now + i, "new", i});
    ASSERT_TRUE(Write(*database_, points).ok());
  }
  ASSERT_TRUE(GetsMerged(*store_));
  // A merge that is still under way would drop what expires now, and leave its files for later.
  int64_t merges = 0;
  for (int64_t last = 1; last != merges; last = fixture::FigureOf(*store_, "merges_total")) {
    merges = last;
    std::this_thread::sleep_for(milliseconds(500));
  }
  ASSERT_TRUE(
      store_
          ->UpdateDatabase(Name("demo"),
                           [](DatabaseSettings& settings) { settings.retention_ns = 7 * kDay; })
          .ok());
  ASSERT_TRUE(Within(milliseconds(20000), [&] {
    return fixture::FigureOf(*store_, "expired_blocks_total") > 0 &&
           FileBytes(dir_.path()) < 100'000;
  }));
  Model left = Read(*database_);
  std::erase_if(left, [](const auto& point) { return point.first.second == "old"; });
  EXPECT_EQ(left.size(), 20u);
}

TEST_F(CompactorTest, ADroppedDatabaseGivesItsDiskBack) {
  Open(WithoutCompaction());
  Create();
  std::mt19937 random(1);
  for (int64_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(Write(*database_, {{i, "x", i, Noise(random, 900'000)}}).ok());
  }
  // What is in memory goes to disk when the store is opened again.
  Open(WithoutCompaction());
  EXPECT_GT(FileBytes(dir_.path()), 9u * 900'000);
  ASSERT_TRUE(store_->DropDatabase(Name("demo")).ok());
  database_.reset();
  EXPECT_TRUE(Within(milliseconds(10000), [&] { return FileBytes(dir_.path()) < 100'000; }));
}

// Runs `work` in a process of its own; true if that was killed.
template <typename Work>
bool KilledWhile(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

class CompactorCrashTest : public testing::TestWithParam<std::tuple<CompactionStep, int>> {
 protected:
  // At the step of that name, the nth time it is reached.
  static std::function<void(CompactionStep)> KillAt(CompactionStep step, int nth) {
    auto left = std::make_shared<std::atomic<int>>(nth);
    return [=](CompactionStep reached) {
      if (reached == step && --*left == 0) kill(getpid(), SIGKILL);
    };
  }

  fixture::TempDir dir_;
};

TEST_P(CompactorCrashTest, NothingAcknowledgedIsLostOrTwice) {
  const auto [step, nth] = GetParam();
  Model model;
  {
    auto store = OpenRocksDbStore(dir_.path(), WithoutCompaction()).value();
    ASSERT_TRUE(store->CreateDatabase(Name("demo"), {.retention_ns = 100'000 * kDay}).ok());
    auto database = store->FindDatabase(Name("demo")).value();
    WriteSome(*database, 5, 60, model);
  }
  ASSERT_TRUE(KilledWhile([&, step = step, nth = nth] {
    auto store = OpenRocksDbStore(dir_.path(), Eager(KillAt(step, nth))).value();
    auto database = store->FindDatabase(Name("demo")).value();
    // Enough for several merges.
    Model ignored;
    for (uint32_t i = 0; i < 100; ++i) {
      WriteSome(*database, 5, 1, ignored);
      std::this_thread::sleep_for(milliseconds(20));
    }
  }));
  // The child only wrote points again that were there, some of them with an older value.
  auto store = OpenRocksDbStore(dir_.path(), WithoutCompaction()).value();
  auto database = store->FindDatabase(Name("demo")).value();
  WriteSome(*database, 5, 60, model);
  EXPECT_EQ(Read(*database), model);
  database.reset();
  store.reset();
  store = OpenRocksDbStore(dir_.path(), Eager()).value();
  database = store->FindDatabase(Name("demo")).value();
  ASSERT_TRUE(GetsMerged(*store));
  EXPECT_EQ(Read(*database), model);
}

INSTANTIATE_TEST_SUITE_P(
    EveryStep, CompactorCrashTest,
    testing::Combine(testing::Values(CompactionStep::kChosen, CompactionStep::kRead,
                                     CompactionStep::kMerged, CompactionStep::kReplaced,
                                     CompactionStep::kExpiring, CompactionStep::kExpired),
                     testing::Values(1, 2)));

// A log in memory, of one partition, in which a test has a say when what happens.
class ScriptedLog : public BlockLog, public std::enable_shared_from_this<ScriptedLog> {
 public:
  uint32_t id() const override { return 1; }
  int64_t MinTimeNs() const override { return INT64_MIN; }
  TablePtr Table(uint32_t) const override { return table_; }
  absl::Status ListNewestFirst(
      uint32_t, int64_t, uint64_t before_sequence,
      const std::function<bool(const StoredBlock&)>& visit) const override {
    if (while_listing) while_listing();
    std::lock_guard lock(mutex_);
    for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
      if (block->first < before_sequence && !visit(block->second.first)) break;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> ReadForMerge(const BlockKey& key) const override {
    std::lock_guard lock(mutex_);
    auto block = blocks_.find(key.sequence);
    if (block == blocks_.end()) return absl::NotFoundError("no such block");
    return block->second.second.directory + block->second.second.body;
  }
  absl::StatusOr<std::vector<StoredBlock>> Replace(std::span<const StoredBlock> before,
                                                   std::span<const EncodedBlock> after) override {
    std::lock_guard lock(mutex_);
    for (const StoredBlock& block : before) {
      EXPECT_EQ(blocks_.erase(block.key.sequence), 1u) << block.key.sequence;
    }
    std::vector<StoredBlock> stored;
    for (size_t i = 0; i < after.size(); ++i) {
      BlockKey key = before[before.size() - after.size() + i].key;
      key.run = ++run_;
      stored.push_back({.key = key, .rows = after[i].row_count});
      blocks_.emplace(key.sequence, std::pair(stored.back(), after[i]));
    }
    ++replaced;
    return stored;
  }
  absl::Status ForgetMarks() override { return absl::OkStatus(); }
  absl::StatusOr<int64_t> DropExpiredPartitions() override { return 0; }

  // A block of one point, whose time is its sequence.
  StoredBlock Add(uint64_t sequence, uint64_t run = 0) {
    TableBatch batch(table_);
    batch.AddRow(batch.AddSet(), static_cast<int64_t>(sequence));
    batch.AddNumber(1, 1);
    std::lock_guard lock(mutex_);
    const StoredBlock block{.key = {1, 0, sequence, run}, .rows = 1};
    blocks_.emplace(sequence, std::pair(block, EncodeBlock(batch)));
    return block;
  }
  size_t UnmergedBlocks() const {
    std::lock_guard lock(mutex_);
    size_t unmerged = 0;
    for (const auto& [sequence, block] : blocks_) unmerged += block.first.key.run == 0 ? 1 : 0;
    return unmerged;
  }
  size_t Rows() const {
    std::lock_guard lock(mutex_);
    size_t rows = 0;
    for (const auto& [sequence, block] : blocks_) rows += block.second.row_count;
    return rows;
  }

  std::function<void()> while_listing;
  std::atomic<int> replaced = 0;

 private:
  const TablePtr table_ = Cpu();
  mutable std::mutex mutex_;
  std::map<uint64_t, std::pair<StoredBlock, EncodedBlock>> blocks_;
  uint64_t run_ = 0;
};

class ScriptedEngine : public BlockEngine {
 public:
  uint64_t FirstInFlight() const override { return UINT64_MAX; }
  absl::Status CheckMergeable() const override { return absl::OkStatus(); }
  bool Tend() override { return false; }
  void Rest() override {}
};

// Of more partitions than it may keep it keeps none, and merges them when there is room.
TEST(CompactorOfALogTest, PartitionsBeyondTheLimitAreMergedWhenPointsComeAgain) {
  ScriptedEngine engine;
  Compactor compactor(engine, {.threads = 1, .max_partitions = 1, .quiet = milliseconds(10)});
  auto log = std::make_shared<ScriptedLog>();
  auto passed_over = std::make_shared<ScriptedLog>();
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) passed_over->Add(sequence);
  // It stays known as long as its listing lasts.
  std::atomic<bool> go_on = false;
  log->while_listing = [&] {
    while (!go_on) std::this_thread::sleep_for(milliseconds(1));
  };
  compactor.Added(log, {log->Add(1), log->Add(2)});
  std::this_thread::sleep_for(milliseconds(300));
  // Another table of the same log, of which this one knows nothing.
  StoredBlock other = passed_over->Add(4);
  other.key.table = 2;
  compactor.Added(passed_over, {other});
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(passed_over->replaced, 0);
  go_on = true;
  EXPECT_TRUE(Within(milliseconds(20000), [&] { return log->replaced > 0; }));
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(passed_over->replaced, 0);
  // Until the first is forgotten.
  uint64_t sequence = 4;
  EXPECT_TRUE(Within(milliseconds(20000), [&] {
    other = passed_over->Add(++sequence);
    other.key.table = 2;
    compactor.Added(passed_over, {other});
    std::this_thread::sleep_for(milliseconds(250));
    return passed_over->replaced > 0;
  }));
  compactor.Stop();
  EXPECT_EQ(passed_over->Rows(), sequence);
}

// Behind what has been merged there may be more, where a process ended in between.
TEST(CompactorOfALogTest, WhatIsBehindALargeRunIsMergedToo) {
  ScriptedEngine engine;
  Compactor compactor(engine,
                      {.threads = 1, .max_merge_bytes = 8 * 128, .quiet = milliseconds(10)});
  auto log = std::make_shared<ScriptedLog>();
  for (uint64_t sequence = 1; sequence <= 30; ++sequence) log->Add(sequence);
  for (uint64_t sequence = 31; sequence <= 50; ++sequence) log->Add(sequence, 1000);
  compactor.Found(log, 1, 0, 30);
  EXPECT_TRUE(Within(milliseconds(20000), [&] { return log->UnmergedBlocks() <= 1; }));
  compactor.Stop();
  EXPECT_EQ(log->Rows(), 50u);
}

// A commit that is written before the listing and told of in the middle of it is known once.
TEST(CompactorOfALogTest, WhatIsListedAndToldOfAtOnceIsMergedOnce) {
  ScriptedEngine engine;
  Compactor compactor(engine, {.threads = 2, .quiet = milliseconds(10)});
  auto log = std::make_shared<ScriptedLog>();
  for (uint64_t sequence = 1; sequence <= 10; ++sequence) log->Add(sequence);
  std::atomic<bool> told = false;
  log->while_listing = [&] {
    if (told.exchange(true)) return;
    compactor.Added(log, {log->Add(11)});
    // Until the other thread has looked.
    std::this_thread::sleep_for(milliseconds(500));
  };
  compactor.Watch(log);
  compactor.Found(log, 1, 0, 10);
  EXPECT_TRUE(Within(milliseconds(20000), [&] { return log->replaced > 0; }));
  compactor.Stop();
  EXPECT_TRUE(told);
  EXPECT_EQ(log->Rows(), 11u);
  EXPECT_EQ(compactor.stats().failures, 0u);
}

}  // namespace
}  // namespace sluice::storage
