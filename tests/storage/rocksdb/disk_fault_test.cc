// The store on a disk that fails at every single operation of a run, or is full, or loses its
// power.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "storage/rocksdb/store.h"
#include "tests/fixture/fault_file_system.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

using fixture::FaultFileSystem;
using fixture::FileOperation;
using std::chrono::milliseconds;

// Where every access is checked a run takes many times as long: then only some of the faults.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kStride = 11;
#else
constexpr uint64_t kStride = 1;
#endif

constexpr int64_t kDay = int64_t{86400} * 1'000'000'000;

DatabaseName Name(const std::string& text) { return DatabaseName::Parse(text).value(); }

RocksDbOptions OptionsOn(std::shared_ptr<FaultFileSystem> disk) {
  return {.min_free_disk_bytes = 0,
          .block_cache_bytes = 1 << 20,
          // Little, so that it is flushed.
          .write_buffer_bytes = 256 << 10,
          .compaction = {.threads = 1, .quiet = milliseconds(2)},
          .file_system = std::move(disk)};
}

// What may be after a request: it was acknowledged, and synced or not, or nobody knows.
enum class Fate { kSynced, kUnsynced, kUnknown };

// Request `id` writes one point of each day to each of two tables, in the field f its own number.
constexpr int kDays = 2;
constexpr int kTables = 2;
constexpr size_t kPointsARequest = kDays * kTables;

WriteSet MakeRequest(const std::shared_ptr<const DatabaseSchema>& schema, int id,
                     size_t note_bytes) {
  WriteSet write;
  write.judged_by = schema;
  for (int t = 0; t < kTables; ++t) {
    const std::string name = fmt::format("t{}", t);
    TablePtr table = schema->Find(name);
    // Every fifth request has a column that no other has.
    const std::string column = fmt::format("c{}", id);
    const bool is_new = table == nullptr;
    if (is_new || id % 5 == 4) {
      auto changed = is_new ? std::make_shared<TableSchema>(TableSchema::kNoId, name)
                            : std::make_shared<TableSchema>(*table);
      if (is_new) {
        changed->Add("f", ColumnType::kInteger);
        changed->Add("note", ColumnType::kString);
      }
      if (id % 5 == 4) changed->Add(column, ColumnType::kInteger);
      table = changed;
    }
    TableBatch& batch = write.batches.emplace_back(table);
    const uint32_t set = batch.AddSet();
    for (int day = 0; day < kDays; ++day) {
      batch.AddRow(set, day * kDay + id);
      batch.AddNumber(0, id);
      if (note_bytes > 0) {
        std::string note;
        uint32_t state = static_cast<uint32_t>(id) + 1;
        // That does not compress.
        for (size_t i = 0; i < note_bytes; ++i) {
          note.push_back(
              static_cast<char>('a' + ((state = state * 1103515245 + 12345) >> 16) % 26));
        }
        batch.AddString(1, note);
      }
      if (id % 5 == 4) batch.AddNumber(static_cast<uint32_t>(table->columns().size()) - 1, id);
    }
  }
  return write;
}

// How many points of each request there are.
std::map<int64_t, size_t> Read(const Database& database) {
  std::map<int64_t, size_t> counts;
  auto snapshot = database.TakeSnapshot();
  EXPECT_TRUE(snapshot.ok()) << snapshot.status();
  if (!snapshot.ok()) return counts;
  for (const TablePtr& table : (*snapshot)->schema().Tables()) {
    ScanSpec spec;
    spec.table = table;
    spec.columns = {0, 1};
    auto scan = (*snapshot)->Read(spec);
    EXPECT_TRUE(scan.ok()) << scan.status();
    if (!scan.ok()) return counts;
    ScanRows rows;
    while (true) {
      absl::Status next = (*scan)->Next(rows);
      EXPECT_TRUE(next.ok()) << next;
      if (!next.ok() || rows.timestamps.empty()) break;
      for (const Value& value : rows.columns[0]) ++counts[std::get<int64_t>(value)];
    }
  }
  return counts;
}

// A scripted life of a store, and what it has acknowledged.
class Life {
 public:
  explicit Life(std::shared_ptr<FaultFileSystem> disk) : disk_(std::move(disk)) {}

  // The whole script, as far as it gets: like the server, it ends when the store is not usable.
  void Run() {
    Open();
    Create("a");
    Create("b");
    for (int i = 0; i < 4; ++i) Write("a");
    Write("b");
    Write("a", Durability::kUnsynced);
    Write("a");
    for (int i = 0; i < 3; ++i) Write("a", Durability::kSynced, 40'000);
    LetItMerge();
    PutToken();
    Update();
    Drop();
    Write("a");
    Open();
    Write("a");
    Write("a", Durability::kUnsynced);
    LetItMerge();
  }

  // While the disk is still as it is. It may find no room; whatever it is, it is no abort.
  void StartAgain() {
    store_.reset();
    auto store = OpenRocksDbStore(data(), OptionsOn(disk_));
    if (store.ok()) Check(**store, false);
  }

  // With the disk well again, in the process that had the fault.
  void CheckAlive() {
    if (store_ == nullptr || !store_->CheckUsable().ok()) return;
    Check(*store_, false);
  }

  void CheckAfterPowerLoss() {
    const std::string copy = dir_.path() + "/after";
    disk_->CopyAsAfterPowerLoss(data(), copy);
    auto store = OpenRocksDbStore(copy, OptionsOn(std::make_shared<FaultFileSystem>()));
    ASSERT_TRUE(store.ok()) << store.status();
    Check(**store, true);
  }

  void CheckAfterRestart() {
    store_.reset();
    auto store = OpenRocksDbStore(data(), OptionsOn(disk_));
    ASSERT_TRUE(store.ok()) << store.status();
    Check(**store, false);
    // And it takes more.
    store_ = *std::move(store);
    Create("again");
    Write("again");
    EXPECT_EQ(requests_.at("again").begin()->second, Fate::kSynced);
    store_.reset();
  }

 private:
  std::string data() const { return dir_.path() + "/data"; }
  bool usable() const { return store_ != nullptr && store_->CheckUsable().ok(); }

  void Open() {
    if (opened_ && !usable()) return;
    store_.reset();
    opened_ = true;
    auto store = OpenRocksDbStore(data(), OptionsOn(disk_));
    if (store.ok()) store_ = *std::move(store);
  }

  void Create(const std::string& name) {
    if (!usable()) return;
    if (store_->CreateDatabase(Name(name), {}).ok()) created_.insert(name);
  }

  void Write(const std::string& name, Durability durability = Durability::kSynced,
             size_t note_bytes = 0) {
    if (!usable()) return;
    auto database = store_->FindDatabase(Name(name));
    if (!database.ok()) return;
    const int id = next_id_++;
    absl::Status written = fixture::Commit(
        **database, MakeRequest(fixture::SchemaOf(**database), id, note_bytes), durability);
    // The log is one: what it syncs, it syncs with all before.
    if (written.ok() && durability == Durability::kSynced) {
      for (auto& [other, requests] : requests_) {
        for (auto& [earlier, fate] : requests) {
          if (fate == Fate::kUnsynced) fate = Fate::kSynced;
        }
      }
    }
    requests_[name][id] = !written.ok()                       ? Fate::kUnknown
                          : durability == Durability::kSynced ? Fate::kSynced
                                                              : Fate::kUnsynced;
  }

  void LetItMerge() {
    const auto end = std::chrono::steady_clock::now() + milliseconds(12);
    while (usable() && std::chrono::steady_clock::now() < end) {
      if (fixture::FigureOf(*store_, "unmerged_blocks") == 0) return;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  void PutToken() {
    if (!usable()) return;
    TokenRecord token;
    token.name = "door";
    token_put_ = store_->PutToken(token).ok();
  }

  void Update() {
    if (!usable()) return;
    updated_ =
        store_->UpdateDatabase(Name("a"), [](DatabaseSettings& set) { set.max_tables = 77; }).ok();
  }

  void Drop() {
    if (!usable() || !created_.contains("b")) return;
    drop_tried_ = true;
    dropped_ = store_->DropDatabase(Name("b")).ok();
  }

  void Check(const Store& store, bool power_was_lost) {
    for (const std::string& name : created_) {
      auto database = store.FindDatabase(Name(name));
      if (name == "b" && drop_tried_ && (dropped_ || !database.ok())) {
        EXPECT_FALSE(dropped_ && database.ok()) << "a database is back";
        EXPECT_TRUE(database.ok() || absl::IsNotFound(database.status())) << database.status();
        continue;
      }
      ASSERT_TRUE(database.ok()) << name << ": " << database.status();
      CheckRequests(**database, requests_[name], &store == store_.get(), power_was_lost);
      if (name == "a" && updated_) {
        EXPECT_EQ(fixture::RecordOf(**database).settings.max_tables, 77);
      }
    }
    auto tokens = store.ListTokens();
    ASSERT_TRUE(tokens.ok());
    if (token_put_) {
      EXPECT_EQ(tokens->size(), 1u);
    }
  }

  static void CheckRequests(const Database& database, const std::map<int, Fate>& requests,
                            bool alive, bool power_was_lost) {
    std::map<int64_t, size_t> counts = Read(database);
    for (const auto& [id, fate] : requests) {
      const size_t count = counts.contains(id) ? counts[id] : 0;
      counts.erase(id);
      EXPECT_TRUE(count == 0 || count == kPointsARequest) << "request " << id << " is in part";
      const bool is_there = fate == Fate::kSynced || (fate == Fate::kUnsynced && !power_was_lost);
      if (is_there) {
        EXPECT_EQ(count, kPointsARequest) << "request " << id << " is lost";
      }
      // A store that goes on after an error has nothing of it.
      if (alive && fate == Fate::kUnknown) {
        EXPECT_EQ(count, 0u) << "request " << id;
      }
    }
    EXPECT_TRUE(counts.empty());
  }

  const std::shared_ptr<FaultFileSystem> disk_;
  fixture::TempDir dir_;
  std::unique_ptr<Store> store_;
  bool opened_ = false;
  int next_id_ = 0;
  std::set<std::string> created_;
  std::map<std::string, std::map<int, Fate>> requests_;
  bool token_put_ = false;
  bool updated_ = false;
  bool drop_tried_ = false;
  bool dropped_ = false;
};

struct FaultCase {
  const char* name;
  FileOperation operation;
  rocksdb::IOStatus status;
  bool lasting;
};

class EveryFaultTest : public testing::TestWithParam<FaultCase> {};

TEST_P(EveryFaultTest, LosesNothingAndComesBack) {
  const FaultCase& fault = GetParam();
  // What the background does comes now earlier, now later; so the end is where nothing is left to
  // fail several times in a row.
  int left_whole = 0;
  uint64_t nth = 1;
  for (; left_whole < 3; nth += kStride) {
    SCOPED_TRACE(fmt::format("number {}", nth));
    auto disk = std::make_shared<FaultFileSystem>();
    Life life(disk);
    disk->Fail(fault.operation, nth, fault.status, fault.lasting);
    life.Run();
    left_whole = disk->failed() ? 0 : left_whole + 1;
    disk->Heal();
    life.CheckAlive();
    life.CheckAfterPowerLoss();
    life.CheckAfterRestart();
    if (HasFailure()) return;
  }
  RecordProperty("operations", static_cast<int>(nth));
  EXPECT_GT(nth, 5u);
}

rocksdb::IOStatus Broken() { return rocksdb::IOStatus::IOError("Input/output error"); }
rocksdb::IOStatus Full() { return rocksdb::IOStatus::NoSpace("No space left on device"); }

INSTANTIATE_TEST_SUITE_P(
    OfTheDisk, EveryFaultTest,
    testing::Values(FaultCase{"OpenOnce", FileOperation::kOpen, Broken(), false},
                    FaultCase{"OpenFull", FileOperation::kOpen, Full(), true},
                    FaultCase{"AppendOnce", FileOperation::kAppend, Broken(), false},
                    FaultCase{"AppendLasting", FileOperation::kAppend, Broken(), true},
                    FaultCase{"AppendFullOnce", FileOperation::kAppend, Full(), false},
                    FaultCase{"AppendFull", FileOperation::kAppend, Full(), true},
                    FaultCase{"SyncOnce", FileOperation::kSync, Broken(), false},
                    FaultCase{"SyncLasting", FileOperation::kSync, Broken(), true},
                    FaultCase{"SyncFull", FileOperation::kSync, Full(), true},
                    FaultCase{"RenameOnce", FileOperation::kRename, Broken(), false},
                    FaultCase{"RenameLasting", FileOperation::kRename, Broken(), true},
                    FaultCase{"ReadOnce", FileOperation::kRead, Broken(), false}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(DiskTest, WithoutAFaultAllIsThereAfterPowerLoss) {
  auto disk = std::make_shared<FaultFileSystem>();
  Life life(disk);
  life.Run();
  life.CheckAlive();
  life.CheckAfterPowerLoss();
  life.CheckAfterRestart();
}

TEST(DiskTest, AnUnsyncedCommitLastsSoon) {
  auto disk = std::make_shared<FaultFileSystem>();
  fixture::TempDir dir;
  auto store = OpenRocksDbStore(dir.path() + "/data", OptionsOn(disk)).value();
  ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
  auto database = store->FindDatabase(Name("a")).value();
  ASSERT_TRUE(fixture::Commit(*database, MakeRequest(fixture::SchemaOf(*database), 0, 0),
                              Durability::kUnsynced)
                  .ok());
  EXPECT_EQ(Read(*database).size(), 1u);
  bool lasts = false;
  for (int i = 0; i < 100 && !lasts; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    const std::string copy = fmt::format("{}/after-{}", dir.path(), i);
    disk->CopyAsAfterPowerLoss(dir.path() + "/data", copy);
    auto after = OpenRocksDbStore(copy, OptionsOn(std::make_shared<FaultFileSystem>())).value();
    lasts = Read(**after->FindDatabase(Name("a"))).size() == 1;
  }
  EXPECT_TRUE(lasts);
}

bool Within(milliseconds time, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

// While one database is dropped, another has a few points in memory that keep the log of both.
TEST(DiskTest, DroppingFreesTheLogToo) {
  auto disk = std::make_shared<FaultFileSystem>();
  fixture::TempDir dir;
  RocksDbOptions options = OptionsOn(disk);
  options.write_buffer_bytes = 64 << 20;
  auto store = OpenRocksDbStore(dir.path() + "/data", options).value();
  ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
  ASSERT_TRUE(store->CreateDatabase(Name("b"), {}).ok());
  auto a = store->FindDatabase(Name("a")).value();
  ASSERT_TRUE(
      fixture::Commit(*a, MakeRequest(fixture::SchemaOf(*a), 0, 0), Durability::kSynced).ok());
  {
    auto b = store->FindDatabase(Name("b")).value();
    for (int i = 0; i < 30; ++i) {
      ASSERT_TRUE(
          fixture::Commit(*b, MakeRequest(fixture::SchemaOf(*b), i, 40'000), Durability::kSynced)
              .ok());
    }
  }
  ASSERT_GT(disk->used_bytes(), 2'000'000u);
  ASSERT_TRUE(store->DropDatabase(Name("b")).ok());
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return disk->used_bytes() < 100'000; }))
      << disk->used_bytes();
  EXPECT_EQ(Read(*a), (std::map<int64_t, size_t>{{0, kPointsARequest}}));
}

// Whoever writes as fast as can be until it is refused, what is left is what was to be left, also
// when all that is in memory has been written to tables.
TEST(DiskTest, KeepsTheReserveFreeAndRefusesInTime) {
  constexpr uint64_t kCapacity = 40 << 20;
  constexpr uint64_t kReserve = 20 << 20;
  // A commit that was let in is finished.
  constexpr uint64_t kSlack = 1 << 20;
  auto disk = std::make_shared<FaultFileSystem>();
  disk->SetCapacity(kCapacity);
  fixture::TempDir dir;
  RocksDbOptions options = OptionsOn(disk);
  options.write_buffer_bytes = 64 << 20;
  options.min_free_disk_bytes = kReserve;
  auto store = OpenRocksDbStore(dir.path() + "/data", options).value();
  ASSERT_TRUE(store->CreateDatabase(Name("a"), {}).ok());
  auto database = store->FindDatabase(Name("a")).value();
  absl::Status written;
  int requests = 0;
  while (written.ok() && requests < 1000) {
    written =
        fixture::Commit(*database, MakeRequest(fixture::SchemaOf(*database), requests, 40'000),
                        Durability::kSynced);
    if (written.ok()) ++requests;
  }
  EXPECT_TRUE(absl::IsUnavailable(written)) << written;
  EXPECT_NE(written.message().find("the disk is nearly full"), std::string::npos) << written;
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    EXPECT_LE(disk->used_bytes(), kCapacity - kReserve + kSlack);
  }
  EXPECT_TRUE(store->CheckUsable().ok());
  EXPECT_EQ(Read(*database).size(), static_cast<size_t>(requests));
  // Dropping makes room at once.
  database.reset();
  ASSERT_TRUE(store->DropDatabase(Name("a")).ok());
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return store->CheckWritable().ok(); }));
}

// Every capacity at which something runs out, and then there is room again.
TEST(DiskTest, RunsOutOfSpaceAnywhereAndRecovers) {
  for (uint64_t capacity = 200; capacity < 700'000; capacity += kStride * (capacity / 7)) {
    SCOPED_TRACE(fmt::format("{} bytes", capacity));
    auto disk = std::make_shared<FaultFileSystem>();
    Life life(disk);
    disk->SetCapacity(capacity);
    life.Run();
    life.StartAgain();
    disk->SetCapacity(std::nullopt);
    life.CheckAlive();
    life.CheckAfterPowerLoss();
    life.CheckAfterRestart();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::storage
