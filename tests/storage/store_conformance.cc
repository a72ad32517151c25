// What every store does; see the header.

#include "tests/storage/store_conformance.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "tests/fixture/store_access.h"
#include "tests/storage/home_table.h"

namespace sluice::storage {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);

namespace {

constexpr int64_t kDay = int64_t{24} * 3600 * 1'000'000'000;

}  // namespace

std::shared_ptr<Database> StoreConformance::Create(const std::string& name) {
  store_->CreateDatabase(Name(name), {}).value();
  return Find(name);
}

std::shared_ptr<Database> StoreConformance::Find(const std::string& name) {
  return store_->FindDatabase(Name(name)).value();
}

TEST_P(StoreConformance, DatabasesOutliveTheProcess) {
  DatabaseRecord made =
      store_->CreateDatabase(Name("a"), {.retention_ns = 5 * kDay, .max_tables = 7}).value();
  store_->CreateDatabase(Name("b"), {}).value();
  Reopen();
  EXPECT_EQ(fixture::RecordOf(*Find("a")), made);
  EXPECT_EQ(store_->ListDatabases()->size(), 2u);
}

TEST_P(StoreConformance, ADatabaseIsCreatedOnce) {
  Create("a");
  EXPECT_EQ(store_->CreateDatabase(Name("a"), {}).status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_P(StoreConformance, WhatWasCommittedIsReadBeforeAndAfterReopening) {
  auto database = Create("a");
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, {3, 1, 2}), Durability::kSynced).ok());
  ASSERT_TRUE(fixture::Commit(*database, WriteOf({4}), Durability::kUnsynced).ok());
  EXPECT_EQ(Times(*database), (std::vector<int64_t>{1, 2, 3, 4}));
  database.reset();
  Reopen();
  EXPECT_EQ(Times(*Find("a")), (std::vector<int64_t>{1, 2, 3, 4}));
}

TEST_P(StoreConformance, LaterCommitsWinAlsoAfterReopening) {
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

TEST_P(StoreConformance, ReadsOnlyTheTimeRangeAcrossPartitions) {
  auto database = Create("a");
  std::vector<int64_t> times;
  for (int64_t day = -3; day <= 3; ++day) times.push_back(day * kDay + 5);
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, times), Durability::kSynced).ok());
  EXPECT_EQ(Times(*database), times);
  EXPECT_EQ(Times(*database, -kDay, kDay), (std::vector<int64_t>{-kDay + 5, 5}));
  EXPECT_EQ(Times(*database, 6, kDay + 4), std::vector<int64_t>());
}

TEST_P(StoreConformance, ManyDaysAndManyColumnsInOneRequestAreSplitSoon) {
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

TEST_P(StoreConformance, MoreRowsThanABlockHoldsAreSplit) {
  auto database = Create("a");
  std::vector<int64_t> times;
  for (size_t i = 0; i < size_t{70'000}; ++i) times.push_back(static_cast<int64_t>(i));
  ASSERT_TRUE(
      fixture::Commit(*database, CreatingWriteOf(*database, times), Durability::kSynced).ok());
  EXPECT_EQ(Times(*database), times);
}

TEST_P(StoreConformance, ASnapshotDoesNotSeeWhatComesLater) {
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

TEST_P(StoreConformance, ASchemaChangeJudgedByAnOldVersionIsAbortedAndLeavesNothing) {
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

TEST_P(StoreConformance, ADropFreesTheNameAndLeavesNothing) {
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

TEST_P(StoreConformance, SettingsCanBeChangedEachOnItsOwn) {
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

TEST_P(StoreConformance, TokensOutliveTheProcessUntilTheyAreDeleted) {
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

TEST_P(StoreConformance, ConcurrentCommitsAreAllThere) {
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

namespace {

// The newest value of each point of a table "t" with one tag and two fields, as it must be read.
using Model = std::map<std::pair<int64_t, std::string>, std::map<size_t, int64_t>>;

// Commits of few points and of many, to one table and day, none of which waits for another. Each is
// judged by what the schema is then, as a pipeline does.
class Writer {
 public:
  Writer(Database& database, uint32_t seed) : database_(database), random_(seed) {}

  // Adds a commit of `rows` points; some have fields that others have not.
  void Commit(size_t rows) {
    WriteSet write;
    write.judged_by = fixture::SchemaOf(database_);
    TablePtr table = write.judged_by->Find("t");
    if (table == nullptr) {
      auto made = std::make_shared<TableSchema>(TableSchema::kNoId, "t");
      made->Add("host", ColumnType::kTag);
      made->Add("a", ColumnType::kInteger);
      made->Add("b", ColumnType::kInteger);
      table = made;
    }
    TableBatch& batch = write.batches.emplace_back(table);
    for (size_t i = 0; i < rows; ++i) {
      const int64_t time = static_cast<int64_t>(random_() % 50);
      const std::string host = fmt::format("h{}", random_() % 20);
      const uint32_t set = batch.AddSet();
      // One in twenty has no tag.
      if (host != "h0") batch.AddTag(0, host);
      batch.AddRow(set, time);
      std::map<size_t, int64_t>& point = model_[{time, host == "h0" ? "" : host}];
      const uint32_t fields = 1 + random_() % 3;
      for (size_t field = 1; field <= 2; ++field) {
        if ((fields & field) != 0) batch.AddNumber(field, point[field] = ++value_);
      }
    }
    database_.Commit(std::move(write), Durability::kSynced, [this](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ++done_;
    });
    ++committed_;
  }
  void Wait() const {
    while (done_ < committed_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Model& model() const { return model_; }

 private:
  Database& database_;
  std::mt19937 random_;
  Model model_;
  int64_t value_ = 0;
  int committed_ = 0;
  std::atomic<int> done_ = 0;
};

Model Read(const Database& database) {
  Model model;
  auto snapshot = database.TakeSnapshot().value();
  ScanSpec spec;
  spec.table = snapshot->schema().Find("t");
  if (spec.table == nullptr) return model;
  spec.columns = {0, 1, 2};
  auto scan = snapshot->Read(spec).value();
  ScanRows rows;
  while (true) {
    const absl::Status next = scan->Next(rows);
    EXPECT_TRUE(next.ok()) << next;
    if (!next.ok() || rows.timestamps.empty()) return model;
    for (size_t i = 0; i < rows.timestamps.size(); ++i) {
      const auto* host = std::get_if<std::string_view>(&rows.columns[0][i]);
      auto [point, is_new] =
          model.emplace(std::pair(rows.timestamps[i], host ? std::string(*host) : ""),
                        std::map<size_t, int64_t>());
      EXPECT_TRUE(is_new);
      for (size_t field = 1; field <= 2; ++field) {
        const auto* value = std::get_if<int64_t>(&rows.columns[field][i]);
        if (value != nullptr) point->second[field] = *value;
      }
    }
  }
}

}  // namespace

TEST_P(StoreConformance, CommitsThatNobodyWaitsForTakeEffectInTheOrderOfTheirCalls) {
  auto database = Create("a");
  Writer writer(*database, 1);
  writer.Commit(1);
  writer.Wait();
  std::mt19937 random(2);
  for (int i = 0; i < 600; ++i) {
    // Few, around what a store may take for few, and many.
    const size_t sizes[] = {1, 1, 1, 2, 5, 63, 64, 65, 300};
    writer.Commit(sizes[random() % 9]);
    if (random() % 100 == 0) writer.Wait();
  }
  writer.Wait();
  EXPECT_EQ(Read(*database), writer.model());
  database.reset();
  Reopen();
  EXPECT_EQ(Read(*Find("a")), writer.model());
}

TEST_P(StoreConformance, EachNewTableGetsAnIdOfItsOwnWhoeverBringsIt) {
  auto database = Create("a");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20;) {
        WriteSet write;
        write.judged_by = fixture::SchemaOf(*database);
        // Three of its own, one that all bring, which gets a column from each.
        for (int n = 0; n < 3; ++n) {
          auto own = std::make_shared<TableSchema>(TableSchema::kNoId,
                                                   fmt::format("own_{}_{}_{}", t, i, n));
          own->Add("f", ColumnType::kInteger);
          write.batches.emplace_back(std::move(own));
        }
        const TablePtr known = write.judged_by->Find("common");
        auto common = known != nullptr
                          ? std::make_shared<TableSchema>(*known)
                          : std::make_shared<TableSchema>(TableSchema::kNoId, "common");
        const size_t column = common->Add(fmt::format("f_{}_{}", t, i), ColumnType::kInteger);
        write.batches.emplace_back(std::move(common));
        for (TableBatch& batch : write.batches) {
          batch.AddRow(batch.AddSet(), t * 100 + i);
          batch.AddNumber(&batch == &write.batches.back() ? column : 0, 1);
        }
        const absl::Status committed = fixture::Commit(*database, std::move(write));
        ASSERT_TRUE(committed.ok() || absl::IsAborted(committed)) << committed;
        if (committed.ok()) ++i;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto check = [](const DatabaseSchema& schema) {
    std::set<uint32_t> ids;
    for (const TablePtr& table : schema.Tables()) ids.insert(table->id());
    EXPECT_EQ(ids.size(), 4u * 20 * 3 + 1);
    EXPECT_FALSE(ids.contains(TableSchema::kNoId));
    EXPECT_EQ(schema.Find("common")->columns().size(), 4u * 20);
  };
  check(*fixture::SchemaOf(*database));
  database.reset();
  Reopen();
  check(*fixture::SchemaOf(*Find("a")));
}

// What others did to other tables does not matter, up to how many there may be.
TEST_P(StoreConformance, AChangeOfOtherTablesIsNoReasonToJudgeAgain) {
  auto database = Create("a");
  const auto bringing = [&](const std::string& name) {
    WriteSet write;
    write.judged_by = fixture::SchemaOf(*database);
    auto table = std::make_shared<TableSchema>(TableSchema::kNoId, name);
    table->Add("f", ColumnType::kInteger);
    write.batches.emplace_back(std::move(table));
    write.batches[0].AddRow(write.batches[0].AddSet(), 1);
    write.batches[0].AddNumber(0, 1);
    write.max_tables = 3;
    return write;
  };
  const WriteSet again = bringing("first");
  WriteSet second = bringing("second");
  WriteSet third = bringing("third");
  WriteSet fourth = bringing("fourth");
  ASSERT_TRUE(fixture::Commit(*database, bringing("first")).ok());
  EXPECT_TRUE(fixture::Commit(*database, std::move(second)).ok());
  EXPECT_TRUE(fixture::Commit(*database, std::move(third)).ok());
  EXPECT_TRUE(absl::IsAborted(fixture::Commit(*database, std::move(fourth))));
  EXPECT_TRUE(absl::IsAborted(fixture::Commit(*database, again)));
  const auto schema = fixture::SchemaOf(*database);
  EXPECT_EQ(schema->table_count(), 3u);
  EXPECT_NE(schema->Find("first")->id(), schema->Find("second")->id());
  EXPECT_NE(schema->Find("second")->id(), schema->Find("third")->id());
}

TEST_P(StoreConformance, ADropEndsCommitsUnderWayWithOneAnswerEach) {
  for (int round = 0; round < 20; ++round) {
    auto database = Create("a");
    ASSERT_TRUE(fixture::Commit(*database, CreatingWriteOf(*database, {0})).ok());
    std::atomic<int> answers = 0;
    constexpr int kCommits = 200;
    std::thread dropper([&] {
      while (answers < 5) std::this_thread::yield();
      EXPECT_TRUE(store_->DropDatabase(Name("a")).ok());
    });
    for (int i = 1; i <= kCommits; ++i) {
      database->Commit(WriteOf({i}), Durability::kSynced, [&](const absl::Status& status) {
        EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status;
        ++answers;
      });
    }
    dropper.join();
    while (answers < kCommits) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(absl::IsNotFound(fixture::Commit(*database, WriteOf({1}))));
  }
}

TEST_P(StoreConformance, AClosedStoreRefusesWhatComesLate) {
  auto database = Create("a");
  ASSERT_TRUE(fixture::Commit(*database, CreatingWriteOf(*database, {1})).ok());
  std::atomic<int> answers = 0;
  for (int i = 0; i < 100; ++i) {
    database->Commit(WriteOf({i}), Durability::kSynced, [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ++answers;
    });
  }
  store_.reset();
  // What was taken has been written.
  EXPECT_EQ(answers, 100);
  EXPECT_TRUE(absl::IsUnavailable(fixture::Commit(*database, WriteOf({1}))));
}

// With the sync left out this fails wherever a world can lose power.
TEST_P(StoreConformance, WhatIsDoneIsThereAfterALossOfPowerAndNothingInPart) {
  auto database = Create("a");
  ASSERT_TRUE(fixture::Commit(*database, CreatingWriteOf(*database, {0, 1})).ok());
  std::mutex mutex;
  std::set<int64_t> done = {0};
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t n = t + 1; !stop; n += 4) {
        // Two days, so two blocks.
        const WriteSet write = WriteOf({2 * n, kDay + 2 * n});
        ASSERT_TRUE(fixture::Commit(*database, write).ok());
        {
          std::lock_guard lock(mutex);
          done.insert(2 * n);
        }
        // So that there is not too much to copy and to read.
        std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
    });
  }
  for (int cut = 0; cut < 6; ++cut) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::set<int64_t> expected;
    {
      std::lock_guard lock(mutex);
      expected = done;
    }
    const std::string copy = dir_.path() + "/after";
    std::filesystem::remove_all(copy);
    if (!world_->LosePower(directory(), copy)) break;
    auto after = world_->Open(copy);
    auto found = after->FindDatabase(Name("a")).value();
    const std::vector<int64_t> times = Times(*found);
    const std::set<int64_t> there(times.begin(), times.end());
    EXPECT_TRUE(std::includes(there.begin(), there.end(), expected.begin(), expected.end()));
    for (int64_t time : there) {
      EXPECT_TRUE(time <= 1 || time >= kDay || there.contains(time + kDay)) << time;
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_P(StoreConformance, AMarkIsThereWithItsPointsAndOutlivesTheProcess) {
  auto database = Create("a");
  EXPECT_EQ(database->FindMark("w").value(), std::nullopt);
  WriteSet write = CreatingWriteOf(*database, {1});
  write.mark = {"w", -5};
  ASSERT_TRUE(fixture::Commit(*database, std::move(write), Durability::kSynced).ok());
  EXPECT_EQ(database->FindMark("w").value(), -5);
  EXPECT_EQ(database->FindMark("v").value(), std::nullopt);
  // Nothing but a mark.
  WriteSet mark;
  mark.judged_by = fixture::SchemaOf(*database);
  mark.mark = {"w", std::numeric_limits<int64_t>::max()};
  ASSERT_TRUE(fixture::Commit(*database, mark, Durability::kSynced).ok());
  // What is not written leaves none.
  WriteSet aborted;
  aborted.judged_by = std::make_shared<const DatabaseSchema>();
  aborted.batches.push_back(CreatingWriteOf(*database, {2}).batches[0]);
  aborted.mark = {"v", 1};
  auto other = std::make_shared<TableSchema>(TableSchema::kNoId, "home");
  other->Add("x", ColumnType::kTag);
  aborted.batches[0].set_table(other);
  EXPECT_TRUE(absl::IsAborted(fixture::Commit(*database, aborted, Durability::kSynced)));
  database.reset();
  Reopen();
  database = Find("a");
  EXPECT_EQ(database->FindMark("w").value(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(database->FindMark("v").value(), std::nullopt);
  EXPECT_EQ(Create("b")->FindMark("w").value(), std::nullopt);
}

TEST_P(StoreConformance, ChangesOfTokensAreTold) {
  int changes = 0;
  store_->WatchTokens([&] {
    ++changes;
    EXPECT_EQ(store_->ListTokens()->size(), changes == 1 ? 1u : 0u);
  });
  ASSERT_TRUE(store_->PutToken({.name = "t", .admin = true}).ok());
  EXPECT_EQ(changes, 1);
  ASSERT_TRUE(store_->DeleteToken("t").ok());
  EXPECT_EQ(changes, 2);
  store_->WatchTokens(nullptr);
  ASSERT_TRUE(store_->PutToken({.name = "t", .admin = true}).ok());
  EXPECT_EQ(changes, 2);
}

TEST_P(StoreConformance, FiguresAreAlwaysTheSameOnes) {
  const std::vector<Figure> before = store_->Figures();
  EXPECT_FALSE(before.empty());
  auto database = Create("a");
  ASSERT_TRUE(fixture::Commit(*database, CreatingWriteOf(*database, {1})).ok());
  const std::vector<Figure> after = store_->Figures();
  ASSERT_EQ(after.size(), before.size());
  std::set<std::string_view> names;
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].name, before[i].name);
    EXPECT_EQ(after[i].counts, before[i].name.ends_with("_total"));
    names.insert(after[i].name);
  }
  EXPECT_EQ(names.size(), after.size());
}

}  // namespace sluice::storage
