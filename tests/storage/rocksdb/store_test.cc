#include "storage/rocksdb/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "storage/block/block.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

constexpr int64_t kDay = int64_t{86400} * 1'000'000'000;

DatabaseName Name(const std::string& text) { return DatabaseName::Parse(text).value(); }

TablePtr Home(size_t columns = 1) {
  auto home = std::make_shared<TableSchema>(1, "home");
  for (size_t i = 0; i < columns; ++i) home->Add(fmt::format("f{}", i), ColumnType::kInteger);
  return home;
}

WriteSet WriteOf(const std::vector<int64_t>& times, TablePtr table = Home()) {
  WriteSet write;
  write.judged_by = std::make_shared<const DatabaseSchema>(DatabaseSchema().With({table}));
  write.batches.emplace_back(table);
  for (int64_t time : times) {
    const uint32_t set = write.batches.back().AddSet();
    write.batches.back().AddRow(set, time);
    write.batches.back().AddNumber(0, time);
  }
  return write;
}

// A write that makes the table.
WriteSet CreatingWriteOf(const Database& database, const std::vector<int64_t>& times) {
  WriteSet write = WriteOf(times);
  write.judged_by = fixture::SchemaOf(database);
  return write;
}

std::vector<int64_t> Times(const Database& database, int64_t min = INT64_MIN,
                           int64_t max = INT64_MAX) {
  auto snapshot = database.TakeSnapshot().value();
  ScanSpec spec;
  spec.table = snapshot->schema().Find("home");
  spec.min_time_ns = min;
  spec.max_time_ns = max;
  if (spec.table == nullptr) return {};
  auto scan = snapshot->Read(spec).value();
  std::vector<int64_t> times;
  ScanRows rows;
  while (scan->Next(rows).ok() && !rows.timestamps.empty()) {
    times.insert(times.end(), rows.timestamps.begin(), rows.timestamps.end());
  }
  std::sort(times.begin(), times.end());
  return times;
}

class RocksDbStoreTest : public testing::Test {
 protected:
  RocksDbStoreTest() { Open(); }

  void Open() { store_ = OpenRocksDbStore(dir_.path()).value(); }
  void Reopen() {
    store_.reset();
    Open();
  }
  std::shared_ptr<Database> Create(const std::string& name) {
    store_->CreateDatabase(Name(name), {}).value();
    return Find(name);
  }
  std::shared_ptr<Database> Find(const std::string& name) {
    return store_->FindDatabase(Name(name)).value();
  }

  fixture::TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(RocksDbStoreTest, DatabasesOutliveTheProcess) {
  DatabaseRecord made =
      store_->CreateDatabase(Name("a"), {.retention_ns = 5 * kDay, .max_tables = 7}).value();
  store_->CreateDatabase(Name("b"), {}).value();
  Reopen();
  EXPECT_EQ(fixture::RecordOf(*Find("a")), made);
  EXPECT_EQ(store_->ListDatabases()->size(), 2u);
}

TEST_F(RocksDbStoreTest, ADatabaseIsCreatedOnce) {
  Create("a");
  EXPECT_EQ(store_->CreateDatabase(Name("a"), {}).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(RocksDbStoreTest, WhatWasCommittedIsReadBeforeAndAfterReopening) {
  auto database = Create("a");
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, {3, 1, 2}), Durability::kSynced).ok());
  ASSERT_TRUE(fixture::Commit(*database, WriteOf({4}), Durability::kUnsynced).ok());
  EXPECT_EQ(Times(*database), (std::vector<int64_t>{1, 2, 3, 4}));
  database.reset();
  Reopen();
  EXPECT_EQ(Times(*Find("a")), (std::vector<int64_t>{1, 2, 3, 4}));
}

TEST_F(RocksDbStoreTest, LaterCommitsWinAlsoAfterReopening) {
  auto database = Create("a");
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, {1}), Durability::kSynced).ok());
  database.reset();
  Reopen();
  database = Find("a");
  WriteSet later;
  later.judged_by = fixture::SchemaOf(*database);
  later.batches.emplace_back(later.judged_by->Find("home"));
  later.batches.back().AddRow(later.batches.back().AddSet(), 1);
  later.batches.back().AddNumber(0, 99);
  ASSERT_TRUE(fixture::Commit(*database, later, Durability::kSynced).ok());
  auto snapshot = database->TakeSnapshot().value();
  ScanSpec spec;
  spec.table = snapshot->schema().Find("home");
  spec.columns = {0};
  ScanRows rows;
  auto scan = snapshot->Read(spec).value();
  ASSERT_TRUE(scan->Next(rows).ok());
  EXPECT_EQ(rows.columns[0], std::vector<Value>{int64_t{99}});
}

TEST_F(RocksDbStoreTest, ReadsOnlyTheTimeRangeAcrossPartitions) {
  auto database = Create("a");
  std::vector<int64_t> times;
  for (int64_t day = -3; day <= 3; ++day) times.push_back(day * kDay + 5);
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, times), Durability::kSynced).ok());
  EXPECT_EQ(Times(*database), times);
  EXPECT_EQ(Times(*database, -kDay, kDay), (std::vector<int64_t>{-kDay + 5, 5}));
  EXPECT_EQ(Times(*database, 6, kDay + 4), std::vector<int64_t>());
}

TEST_F(RocksDbStoreTest, ManyDaysAndManyColumnsInOneRequestAreSplitSoon) {
  auto database = Create("a");
  WriteSet write;
  write.judged_by = fixture::SchemaOf(*database);
  auto table = std::make_shared<TableSchema>(*Home(240));
  size_t tag = table->Add("tag", ColumnType::kTag);
  write.batches.emplace_back(table);
  std::vector<int64_t> times;
  for (int64_t day = 0; day < 20000; ++day) {
    times.push_back(day * kDay);
    write.batches[0].AddRow(write.batches[0].AddSet(), day * kDay);
    write.batches[0].AddNumber(static_cast<size_t>(day % 240), day);
    write.batches[0].AddTag(tag, "constant");
  }
  // A large partition among the small ones.
  for (int64_t i = 1; i <= 30000; ++i) {
    times.push_back(i);
    write.batches[0].AddRow(write.batches[0].AddSet(), i);
    write.batches[0].AddTag(tag, fmt::format("value {}", i));
  }
  std::sort(times.begin(), times.end());
  ASSERT_TRUE(fixture::Commit(*database, write, Durability::kSynced).ok());
  EXPECT_EQ(Times(*database), times);
}

TEST_F(RocksDbStoreTest, MoreRowsThanABlockHoldsAreSplit) {
  auto database = Create("a");
  std::vector<int64_t> times;
  for (size_t i = 0; i < kMaxBlockRows * 2 + 10; ++i) times.push_back(static_cast<int64_t>(i));
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, times), Durability::kSynced).ok());
  EXPECT_EQ(Times(*database), times);
}

TEST_F(RocksDbStoreTest, ASnapshotDoesNotSeeWhatComesLater) {
  auto database = Create("a");
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, {1}), Durability::kSynced).ok());
  auto before = database->TakeSnapshot().value();
  ASSERT_TRUE(fixture::Commit(*database, WriteOf({2}), Durability::kSynced).ok());
  ScanSpec spec;
  spec.table = before->schema().Find("home");
  ScanRows rows;
  auto scan = before->Read(spec).value();
  ASSERT_TRUE(scan->Next(rows).ok());
  EXPECT_EQ(rows.timestamps, std::vector<int64_t>{1});
}

TEST_F(RocksDbStoreTest, ASchemaChangeJudgedByAnOldVersionIsAbortedAndLeavesNothing) {
  auto database = Create("a");
  WriteSet first = CreatingWriteOf(*database, {1});
  WriteSet second = CreatingWriteOf(*database, {2});
  ASSERT_TRUE(fixture::Commit(*database, first, Durability::kSynced).ok());
  EXPECT_EQ(fixture::Commit(*database, second, Durability::kSynced).code(),
            absl::StatusCode::kAborted);
  EXPECT_EQ(Times(*database), std::vector<int64_t>{1});
  second.judged_by = fixture::SchemaOf(*database);
  EXPECT_TRUE(fixture::Commit(*database, second, Durability::kSynced).ok());
}

TEST_F(RocksDbStoreTest, ADropFreesTheNameAndLeavesNothing) {
  auto old = Create("a");
  ASSERT_TRUE(fixture::Commit(*old, CreatingWriteOf(*old, {1}), Durability::kSynced).ok());
  auto snapshot = old->TakeSnapshot().value();
  ASSERT_TRUE(store_->DropDatabase(Name("a")).ok());
  EXPECT_EQ(store_->FindDatabase(Name("a")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(fixture::Commit(*old, WriteOf({2}), Durability::kSynced).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(old->TakeSnapshot().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->DropDatabase(Name("a")).code(), absl::StatusCode::kNotFound);
  auto fresh = Create("a");
  EXPECT_NE(fixture::RecordOf(*fresh).id, fixture::RecordOf(*old).id);
  EXPECT_EQ(Times(*fresh), std::vector<int64_t>());
  snapshot.reset();
  old.reset();
  fresh.reset();
  Reopen();
  EXPECT_EQ(Times(*Find("a")), std::vector<int64_t>());
}

TEST_F(RocksDbStoreTest, SettingsCanBeChangedEachOnItsOwn) {
  Create("a");
  auto set_retention = [](DatabaseSettings& settings) { settings.retention_ns = kDay; };
  auto set_limit = [](DatabaseSettings& settings) { settings.max_columns = 9; };
  DatabaseSettings both = {.retention_ns = kDay, .max_columns = 9};
  ASSERT_TRUE(store_->UpdateDatabase(Name("a"), set_retention).ok());
  EXPECT_EQ(store_->UpdateDatabase(Name("a"), set_limit)->settings, both);
  EXPECT_EQ(fixture::RecordOf(*Find("a")).settings, both);
  Reopen();
  EXPECT_EQ(fixture::RecordOf(*Find("a")).settings, both);
  EXPECT_EQ(store_->UpdateDatabase(Name("b"), set_limit).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(RocksDbStoreTest, TokensOutliveTheProcessUntilTheyAreDeleted) {
  TokenRecord a = {.name = "a", .expiry_ns = 5, .grants = {{"db", true, false}}};
  TokenRecord b = {.name = "b", .admin = true};
  ASSERT_TRUE(store_->PutToken(b).ok());
  ASSERT_TRUE(store_->PutToken(a).ok());
  Reopen();
  EXPECT_EQ(store_->ListTokens().value(), (std::vector<TokenRecord>{a, b}));
  ASSERT_TRUE(store_->DeleteToken("b").ok());
  a.expiry_ns = std::nullopt;
  ASSERT_TRUE(store_->PutToken(a).ok());
  Reopen();
  EXPECT_EQ(store_->ListTokens().value(), (std::vector<TokenRecord>{a}));
}

TEST(NearlyFullDiskTest, RefusesPointsButNotDrops) {
  fixture::TempDir dir;
  auto store = OpenRocksDbStore(dir.path(), {.min_free_disk_bytes = uint64_t{1} << 62}).value();
  EXPECT_EQ(store->CheckWritable().code(), absl::StatusCode::kUnavailable);
  store->CreateDatabase(Name("a"), {}).value();
  auto database = store->FindDatabase(Name("a")).value();
  absl::Status committed =
      fixture::Commit(*database, CreatingWriteOf(*database, {1}), Durability::kSynced);
  EXPECT_EQ(committed.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(committed.message()), testing::HasSubstr("the disk is nearly full"));
  EXPECT_TRUE(store->DropDatabase(Name("a")).ok());
}

std::vector<std::string> Tables(const std::string& directory) {
  std::vector<std::string> paths;
  for (const auto& file : std::filesystem::directory_iterator(directory + "/rocksdb")) {
    if (file.path().extension() == ".sst") paths.push_back(file.path().string());
  }
  return paths;
}

// One byte is another, somewhere in a file of tables: what is not damaged is served, and nothing is
// ever served wrong.
TEST(DamageTest, OfOneDatabaseLeavesTheOthers) {
  fixture::TempDir dir;
  const std::string original = dir.path() + "/original";
  const RocksDbOptions options = {.min_free_disk_bytes = 0, .compaction = {.threads = 0}};
  const std::vector<int64_t> times = {1, 2, 3, kDay, kDay + 1};
  for (int pass = 0; pass < 2; ++pass) {
    // Opening it again writes what the log has to tables.
    auto store = OpenRocksDbStore(original, options).value();
    for (const char* name : {"a", "b"}) {
      if (pass > 0) continue;
      ASSERT_TRUE(store->CreateDatabase(Name(name), {}).ok());
      auto database = store->FindDatabase(Name(name)).value();
      ASSERT_TRUE(
          fixture::Commit(*database, CreatingWriteOf(*database, times), Durability::kSynced).ok());
    }
  }
  int refused = 0;
  int damaged = 0;
  int served = 0;
  for (size_t file = 0; file < Tables(original).size(); ++file) {
    const size_t size = std::filesystem::file_size(Tables(original)[file]);
    for (size_t at = 0; at < size; at += 1 + size / 40) {
      const std::string copy = dir.path() + "/copy";
      std::filesystem::remove_all(copy);
      std::filesystem::copy(original, copy, std::filesystem::copy_options::recursive);
      const std::string path =
          copy + "/rocksdb/" + std::filesystem::path(Tables(original)[file]).filename().string();
      std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekg(static_cast<std::streamoff>(at));
      const int byte = bytes.get();
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put(static_cast<char>(byte ^ 0x55));
      bytes.close();
      auto store = OpenRocksDbStore(copy, options);
      if (!store.ok()) {
        // The catalog itself.
        EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
        ++refused;
        continue;
      }
      int whole = 0;
      for (const char* name : {"a", "b"}) {
        auto database = (*store)->FindDatabase(Name(name));
        const bool found = database.ok();
        EXPECT_TRUE(found || absl::IsDataLoss(database.status())) << database.status();
        if (found && Times(**database) == times) ++whole;
      }
      EXPECT_GE(whole, 1);
      damaged += (*store)->Damages().empty() ? 0 : 1;
      served += whole == 1 ? 1 : 0;
      // It can be dropped.
      for (const Damage& damage : (*store)->Damages()) {
        EXPECT_TRUE(absl::IsDataLoss(damage.found));
        EXPECT_TRUE((*store)->DropDatabase(Name(damage.database)).ok());
      }
    }
  }
  EXPECT_GT(damaged, 10);
  EXPECT_GT(served, 10);
  EXPECT_GT(refused, 0);
}

// With its record in a damaged log, a database seems not to belong; and it is not to be dropped.
TEST(DamageTest, OfTheLogDropsNothing) {
  fixture::TempDir dir;
  const RocksDbOptions options = {
      .min_free_disk_bytes = 0, .write_buffer_bytes = 128 << 10, .compaction = {.threads = 0}};
  {
    auto store = OpenRocksDbStore(dir.path(), options).value();
    ASSERT_TRUE(store->CreateDatabase(Name("b"), {}).ok());
    auto database = store->FindDatabase(Name("b")).value();
    std::vector<int64_t> times;
    for (int64_t i = 0; i < 20'000; ++i) times.push_back(i * 7919);
    ASSERT_TRUE(
        fixture::Commit(*database, CreatingWriteOf(*database, times), Durability::kSynced).ok());
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(fixture::Commit(*database, WriteOf(times), Durability::kSynced).ok());
    }
  }
  std::vector<std::string> logs;
  for (const auto& file : std::filesystem::directory_iterator(dir.path() + "/rocksdb")) {
    if (file.path().extension() == ".log") logs.push_back(file.path().string());
  }
  std::sort(logs.begin(), logs.end());
  const auto tables = Tables(dir.path());
  std::fstream bytes(logs.front(), std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(10);
  bytes.put('\x7f');
  bytes.close();
  auto store = OpenRocksDbStore(dir.path(), options);
  // Either nothing of it is served, or what there is; and no table is gone.
  for (const std::string& table : tables) EXPECT_TRUE(std::filesystem::exists(table)) << table;
}

// RocksDB compacts by itself, meets what is damaged, and would refuse all writes from then on.
TEST(DamageTest, ATableThatCannotBeCompactedRefusesNoWrites) {
  fixture::TempDir dir;
  std::mutex mutex;
  std::string told;
  const RocksDbOptions options = {
      .min_free_disk_bytes = 0, .compaction = {.threads = 0}, .log = [&](const std::string& line) {
        std::lock_guard lock(mutex);
        told += line + "\n";
      }};
  std::vector<int64_t> times;
  for (int64_t i = 0; i < 20'000; ++i) times.push_back(i * i * 7919);
  const auto has_told = [&] {
    std::lock_guard lock(mutex);
    return told.find("a table is damaged, and left as it is") != std::string::npos;
  };
  // Every start makes a table of what was written before it, and from some number on RocksDB makes
  // one of them.
  for (int start = 0; start < 20 && !has_told(); ++start) {
    auto store = OpenRocksDbStore(dir.path(), options).value();
    if (start == 0) {
      ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
      auto a = store->FindDatabase(Name("a")).value();
      ASSERT_TRUE(fixture::Commit(*a, CreatingWriteOf(*a, times), Durability::kSynced).ok());
      continue;
    }
    if (start == 1) {
      std::vector<std::string> tables = Tables(dir.path());
      std::sort(tables.begin(), tables.end(), [](const auto& x, const auto& y) {
        return std::filesystem::file_size(x) < std::filesystem::file_size(y);
      });
      const auto middle = std::filesystem::file_size(tables.back()) / 2;
      std::fstream bytes(tables.back(), std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekg(static_cast<std::streamoff>(middle));
      const int byte = bytes.get();
      bytes.seekp(static_cast<std::streamoff>(middle));
      bytes.put(static_cast<char>(byte ^ 0x55));
    }
    auto a = store->FindDatabase(Name("a")).value();
    for (int i = 0; i < 10; ++i) {
      absl::Status written = fixture::Commit(*a, WriteOf({start * 100 + i}), Durability::kSynced);
      ASSERT_TRUE(written.ok()) << written;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  EXPECT_TRUE(has_told());
}

// Connections take all that there are; the next log still finds one.
TEST(DescriptorsTest, TheStoreHasSomeInReserve) {
  fixture::TempDir dir;
  auto store = OpenRocksDbStore(dir.path(), {.min_free_disk_bytes = 0,
                                             .write_buffer_bytes = 256 << 10,
                                             .compaction = {.threads = 0}})
                   .value();
  ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
  auto a = store->FindDatabase(Name("a")).value();
  ASSERT_TRUE(fixture::Commit(*a, CreatingWriteOf(*a, {1}), Durability::kSynced).ok());
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 256;
  setrlimit(RLIMIT_NOFILE, &few);
  std::vector<int> taken;
  for (int file = 0; (file = open("/dev/null", O_RDONLY)) >= 0;) taken.push_back(file);
  // Random times do not compress, so that buffers are filled and logs begun.
  std::vector<int64_t> times;
  for (int64_t i = 0; i < 20'000; ++i) times.push_back((i * 2654435761) % 1'000'000'007);
  absl::Status written;
  for (int i = 0; i < 5 && written.ok(); ++i)
    written = fixture::Commit(*a, WriteOf(times), Durability::kSynced);
  EXPECT_TRUE(written.ok()) << written;
  EXPECT_TRUE(store->CheckUsable().ok());
  for (int file : taken) close(file);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(DamageTest, AMissingTableIsDamageOfItsDatabaseOnly) {
  fixture::TempDir dir;
  const RocksDbOptions options = {.min_free_disk_bytes = 0, .compaction = {.threads = 0}};
  for (const char* name : {"a", "b"}) {
    auto store = OpenRocksDbStore(dir.path(), options).value();
    ASSERT_TRUE(store->CreateDatabase(Name(name), {}).ok());
    auto database = store->FindDatabase(Name(name)).value();
    ASSERT_TRUE(
        fixture::Commit(*database, CreatingWriteOf(*database, {1, 2}), Durability::kSynced).ok());
  }
  OpenRocksDbStore(dir.path(), options).value();
  int served = 0;
  for (const std::string& table : Tables(dir.path())) {
    const std::string copy = dir.path() + "-copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(dir.path(), copy, std::filesystem::copy_options::recursive);
    std::filesystem::remove(copy + "/rocksdb/" + std::filesystem::path(table).filename().string());
    auto store = OpenRocksDbStore(copy, options);
    if (!store.ok()) continue;
    int whole = 0;
    for (const char* name : {"a", "b"}) {
      auto database = (*store)->FindDatabase(Name(name));
      if (database.ok() && Times(**database) == std::vector<int64_t>{1, 2}) ++whole;
    }
    EXPECT_EQ(whole, 1);
    EXPECT_EQ((*store)->Damages().size(), 1u);
    ++served;
    store->reset();
    std::filesystem::remove_all(copy);
  }
  EXPECT_GE(served, 1);
}

TEST(DamageTest, AStoreWithoutItsCurrentFileIsNotTakenForANewOne) {
  fixture::TempDir dir;
  {
    auto store = OpenRocksDbStore(dir.path()).value();
    ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
  }
  std::filesystem::remove(dir.path() + "/rocksdb/CURRENT");
  auto store = OpenRocksDbStore(dir.path());
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_NE(store.status().message().find("no file CURRENT"), std::string::npos);
}

TEST_F(RocksDbStoreTest, ConcurrentCommitsAreAllThere) {
  auto database = Create("a");
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, {-1}), Durability::kSynced).ok());
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 50; ++i) {
        EXPECT_TRUE(fixture::Commit(*database, WriteOf({t * 50 + i}), Durability::kSynced).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Times(*database).size(), 401u);
}

TEST_F(RocksDbStoreTest, ASecondProcessIsRefused) {
  EXPECT_FALSE(OpenRocksDbStore(dir_.path()).ok());
}

TEST(OpenRocksDbStoreTest, ANewerFormatIsRefusedBeforeAnythingIsOpened) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT") << "sluice store format 9\n";
  EXPECT_EQ(OpenRocksDbStore(dir.path()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(dir.path() + "/rocksdb"));
}

}  // namespace
}  // namespace sluice::storage
