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
#include "storage/rocksdb/check.h"
#include "storage/rocksdb/database.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/mark.h"
#include "storage/timestamp.h"
#include "tests/fixture/fault_file_system.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"
#include "tests/storage/home_table.h"
#include "tests/storage/store_conformance.h"

namespace sluice::storage {
namespace {

constexpr int64_t kDay = int64_t{86400} * 1'000'000'000;

// On the system's files; and on some that know what was synced.
class PlainWorld : public StoreWorld {
 public:
  std::unique_ptr<Store> Open(const std::string& directory) override {
    return OpenRocksDbStore(directory, {.min_free_disk_bytes = 0,
                                        .compaction = {.quiet = std::chrono::milliseconds(20)}})
        .value();
  }
  bool LosePower(const std::string&, const std::string&) override { return false; }
};

class FaultyWorld : public StoreWorld {
 public:
  std::unique_ptr<Store> Open(const std::string& directory) override {
    return OpenRocksDbStore(directory, {.min_free_disk_bytes = 0,
                                        .compaction = {.quiet = std::chrono::milliseconds(20)},
                                        .file_system = files_})
        .value();
  }
  bool LosePower(const std::string& directory, const std::string& to) override {
    files_->CopyAsAfterPowerLoss(directory, to);
    return true;
  }

 private:
  const std::shared_ptr<fixture::FaultFileSystem> files_ =
      std::make_shared<fixture::FaultFileSystem>();
};

template <typename World>
std::unique_ptr<StoreWorld> Make() {
  return std::make_unique<World>();
}

INSTANTIATE_TEST_SUITE_P(RocksDb, StoreConformance, testing::Values(Make<PlainWorld>));
INSTANTIATE_TEST_SUITE_P(RocksDbOnFaultyFiles, StoreConformance,
                         testing::Values(Make<FaultyWorld>));

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

// A writer that comes back when it is about to be forgotten is not.
TEST(MarksTest, OnlyOldOnesAreForgotten) {
  fixture::TempDir dir;
  auto store = OpenRocksDbStore(dir.path(), {.min_free_disk_bytes = 0}).value();
  store->CreateDatabase(Name("a"), {}).value();
  const auto database = store->FindDatabase(Name("a")).value();
  auto& log = dynamic_cast<RocksDbDatabase&>(*database);
  const auto put = [&](const std::string& writer, int64_t age_ns) {
    const std::string mark = EncodeMark({.sequence = 1, .time_ns = NowNs() - age_ns});
    ASSERT_TRUE(
        log.engine().db().Put(rocksdb::WriteOptions(), log.family(), MarkKey(writer), mark).ok());
  };
  constexpr int64_t kMinute = int64_t{60} * 1'000'000'000;
  put("young", kMarkLifeNs - kMinute);
  put("old", kMarkLifeNs + kMinute);
  ASSERT_TRUE(log.ForgetMarks().ok());
  EXPECT_EQ(database->FindMark("young").value(), 1);
  EXPECT_EQ(database->FindMark("old").value(), std::nullopt);
  for (int i = 0; i < 200; ++i) {
    for (int w = 0; w < 100; ++w) put(fmt::format("w{}", w), 2 * kMarkLifeNs);
    std::thread forgets([&] { EXPECT_TRUE(log.ForgetMarks().ok()); });
    WriteSet write;
    write.judged_by = fixture::SchemaOf(*database);
    write.mark = {fmt::format("w{}", i % 100), 2};
    ASSERT_TRUE(fixture::Commit(*database, write, Durability::kUnsynced).ok());
    forgets.join();
    ASSERT_EQ(database->FindMark(write.mark->writer).value(), 2);
  }
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

// One byte of a record that others come behind: nothing of it may be lost in silence.
TEST(DamageTest, OfTheLogIsRefusedUnlessItIsToBeCut) {
  fixture::TempDir dir;
  RocksDbOptions options = {.min_free_disk_bytes = 0, .compaction = {.threads = 0}};
  const std::string data = dir.path() + "/data";
  const std::string killed = dir.path() + "/killed";
  uint64_t second_begins = 0;
  const auto log_of = [](const std::string& directory) {
    for (const auto& file : std::filesystem::directory_iterator(directory + "/rocksdb")) {
      if (file.path().extension() == ".log") return file.path();
    }
    return std::filesystem::path();
  };
  {
    auto store = OpenRocksDbStore(data, options).value();
    ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
    auto a = store->FindDatabase(Name("a")).value();
    ASSERT_TRUE(fixture::Commit(*a, CreatingWriteOf(*a, {1}), Durability::kSynced).ok());
    second_begins = std::filesystem::file_size(log_of(data));
    for (int64_t time : {2, 3}) {
      ASSERT_TRUE(fixture::Commit(*a, WriteOf({time}), Durability::kSynced).ok());
    }
    std::filesystem::copy(data, killed, std::filesystem::copy_options::recursive);
  }
  const std::string log = log_of(killed).string();
  std::fstream bytes(log, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(static_cast<std::streamoff>(second_begins + 30));
  bytes.put('\x7f');
  bytes.close();
  const auto size = std::filesystem::file_size(log);
  const absl::Status refused = OpenRocksDbStore(killed, options).status();
  EXPECT_TRUE(absl::IsDataLoss(refused));
  EXPECT_THAT(std::string(refused.message()),
              testing::AllOf(testing::HasSubstr(fmt::format("from byte {} on", second_begins)),
                             testing::HasSubstr("--cut-damaged-log")));
  EXPECT_EQ(std::filesystem::file_size(log), size);
  EXPECT_THAT(CheckStore(killed)->faults,
              testing::Contains(testing::HasSubstr("the log is damaged")));
  std::string told;
  options.cut_damaged_log = true;
  options.log = [&](const std::string& line) { told += line; };
  {
    auto store = OpenRocksDbStore(killed, options).value();
    EXPECT_THAT(told, testing::HasSubstr("IT IS CUT THERE"));
    EXPECT_EQ(Times(*store->FindDatabase(Name("a")).value()), std::vector<int64_t>({1}));
  }
  // From then on it is whole.
  options.cut_damaged_log = false;
  EXPECT_TRUE(OpenRocksDbStore(killed, options).ok());
}

// What is cut off may be why a database seems not to belong, or to be there.
TEST(DamageTest, ACutOfTheLogLeavesDatabasesThatWereFlushedMadeAndDropped) {
  fixture::TempDir dir;
  RocksDbOptions options = {.min_free_disk_bytes = 0, .compaction = {.threads = 0}};
  const std::string data = dir.path() + "/data";
  const std::string killed = dir.path() + "/killed";
  const auto logs_of = [](const std::string& directory) {
    std::vector<std::filesystem::path> logs;
    for (const auto& file : std::filesystem::directory_iterator(directory + "/rocksdb")) {
      if (file.path().extension() == ".log") logs.push_back(file.path());
    }
    std::sort(logs.begin(), logs.end());
    return logs;
  };
  uint64_t damaged = 0;
  {
    auto store = OpenRocksDbStore(data, options).value();
    for (const char* name : {"flushed", "kept", "dropped"}) {
      ASSERT_TRUE(store->CreateDatabase(Name(name), {}).ok());
      auto made = store->FindDatabase(Name(name)).value();
      ASSERT_TRUE(fixture::Commit(*made, CreatingWriteOf(*made, {1})).ok());
    }
    auto kept = store->FindDatabase(Name("kept")).value();
    damaged = std::filesystem::file_size(logs_of(data).back());
    for (int64_t time : {2, 3}) ASSERT_TRUE(fixture::Commit(*kept, WriteOf({time})).ok());
    auto flushed = store->FindDatabase(Name("flushed")).value();
    ASSERT_TRUE(fixture::Commit(*flushed, WriteOf({2})).ok());
    std::dynamic_pointer_cast<RocksDbDatabase>(flushed)->Flush();
    ASSERT_TRUE(fixture::Commit(*kept, WriteOf({4})).ok());
    ASSERT_TRUE(store->DropDatabase(Name("dropped")).ok());
    ASSERT_TRUE(store->CreateDatabase(Name("made"), {}).ok());
    ASSERT_TRUE(fixture::Commit(*kept, WriteOf({5})).ok());
    std::filesystem::copy(data, killed, std::filesystem::copy_options::recursive);
  }
  ASSERT_GE(logs_of(killed).size(), 2u);
  std::fstream bytes(logs_of(killed).front(), std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(static_cast<std::streamoff>(damaged + 30));
  bytes.put('\x7f');
  bytes.close();
  EXPECT_TRUE(absl::IsDataLoss(OpenRocksDbStore(killed, options).status()));
  options.cut_damaged_log = true;
  for (int start = 0; start < 3; ++start) {
    auto store = OpenRocksDbStore(killed, options);
    ASSERT_TRUE(store.ok()) << start << store.status();
    EXPECT_EQ(Times(*(*store)->FindDatabase(Name("kept")).value()), std::vector<int64_t>({1}));
    EXPECT_EQ(Times(*(*store)->FindDatabase(Name("flushed")).value()),
              std::vector<int64_t>({1, 2}));
    EXPECT_TRUE(absl::IsNotFound((*store)->FindDatabase(Name("dropped")).status()));
    ASSERT_TRUE((*store)->CreateDatabase(Name("again" + std::to_string(start)), {}).ok());
    options.cut_damaged_log = false;
  }
  EXPECT_THAT(CheckStore(killed)->faults, testing::IsEmpty());
}

// What the catalog says of a database may be in a log that is gone: its tables are not to go too.
TEST(DamageTest, OfACatalogThatForgetsADatabaseDropsNothing) {
  fixture::TempDir dir;
  RocksDbOptions options = {.min_free_disk_bytes = 0, .compaction = {.threads = 0}};
  const std::string data = dir.path() + "/data";
  const std::string killed = dir.path() + "/killed";
  {
    auto store = OpenRocksDbStore(data, options).value();
    ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
    auto a = store->FindDatabase(Name("a")).value();
    ASSERT_TRUE(fixture::Commit(*a, CreatingWriteOf(*a, {1})).ok());
    std::dynamic_pointer_cast<RocksDbDatabase>(a)->Flush();
    std::filesystem::copy(data, killed, std::filesystem::copy_options::recursive);
  }
  for (const auto& file : std::filesystem::directory_iterator(killed + "/rocksdb")) {
    if (file.path().extension() == ".log") std::filesystem::remove(file.path());
  }
  const auto tables = Tables(killed);
  ASSERT_FALSE(tables.empty());
  EXPECT_THAT(CheckStore(killed)->faults, testing::Contains(testing::HasSubstr("does not know")));
  for (int start = 0; start < 2; ++start) {
    auto store = OpenRocksDbStore(killed, options).value();
    ASSERT_EQ(store->Damages().size(), 1u);
    EXPECT_EQ(store->Damages()[0].database, "db-1");
    ASSERT_TRUE(store->CreateDatabase(Name("new" + std::to_string(start)), {}).ok());
  }
  for (const std::string& table : tables) EXPECT_TRUE(std::filesystem::exists(table)) << table;
}

// A drop that a crash has cut short is done at the next start.
TEST(DamageTest, ADropThatIsNotedIsDone) {
  fixture::TempDir dir;
  const auto files = std::make_shared<fixture::FaultFileSystem>();
  const RocksDbOptions options = {
      .min_free_disk_bytes = 0, .compaction = {.threads = 0}, .file_system = files};
  const std::string data = dir.path() + "/data";
  std::string lost;
  for (uint64_t nth = 1; nth < 10; ++nth) {
    const std::string path = data + std::to_string(nth);
    auto store = OpenRocksDbStore(path, options).value();
    ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
    auto a = store->FindDatabase(Name("a")).value();
    ASSERT_TRUE(fixture::Commit(*a, CreatingWriteOf(*a, {1})).ok());
    files->Fail(fixture::FileOperation::kSync, nth, rocksdb::IOStatus::IOError("broken"), true);
    store->DropDatabase(Name("a")).IgnoreError();
    a.reset();
    store.reset();
    files->Heal();
    lost = path + "-lost";
    files->CopyAsAfterPowerLoss(path, lost);
    auto again = OpenRocksDbStore(lost, options);
    ASSERT_TRUE(again.ok()) << nth << again.status();
    EXPECT_THAT((*again)->Damages(), testing::IsEmpty()) << nth;
  }
}

// The one is served as far as it can be read, the other is what every crash leaves.
TEST(DamageTest, OfATableAndACutLogTogetherIsServed) {
  fixture::TempDir dir;
  const RocksDbOptions options = {.min_free_disk_bytes = 0, .compaction = {.threads = 0}};
  const std::string data = dir.path() + "/data";
  const std::string killed = dir.path() + "/killed";
  for (int start = 0; start < 2; ++start) {
    auto store = OpenRocksDbStore(data, options).value();
    if (start == 0) {
      for (const char* name : {"a", "b"}) {
        ASSERT_TRUE(store->CreateDatabase(Name(name), {}).ok());
        auto made = store->FindDatabase(Name(name)).value();
        ASSERT_TRUE(fixture::Commit(*made, CreatingWriteOf(*made, {1})).ok());
      }
      continue;
    }
    auto a = store->FindDatabase(Name("a")).value();
    ASSERT_TRUE(fixture::Commit(*a, WriteOf({2})).ok());
    ASSERT_TRUE(fixture::Commit(*a, WriteOf({3})).ok());
    std::filesystem::copy(data, killed, std::filesystem::copy_options::recursive);
  }
  for (const auto& file : std::filesystem::directory_iterator(killed + "/rocksdb")) {
    if (file.path().extension() == ".log" && file.file_size() > 0) {
      std::filesystem::resize_file(file.path(), file.file_size() - 5);
    }
  }
  std::filesystem::resize_file(Tables(killed).back(), 100);
  auto store = OpenRocksDbStore(killed, options);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE((*store)->Damages().empty());
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

TEST(OpenRocksDbStoreTest, ASecondProcessIsRefused) {
  fixture::TempDir dir;
  auto store = OpenRocksDbStore(dir.path()).value();
  EXPECT_FALSE(OpenRocksDbStore(dir.path()).ok());
}

TEST(OpenRocksDbStoreTest, ANewerFormatIsRefusedBeforeAnythingIsOpened) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT") << "sluice store format 9\n";
  EXPECT_EQ(OpenRocksDbStore(dir.path()).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(dir.path() + "/rocksdb"));
}

}  // namespace
}  // namespace sluice::storage
