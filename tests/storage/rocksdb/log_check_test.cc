#include "storage/rocksdb/log_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "storage/rocksdb/engine.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void Put(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// RocksDB's own log, of which nothing is flushed.
class LogCheckTest : public testing::Test {
 protected:
  std::unique_ptr<rocksdb::DB> Open(const std::string& path, bool flushes = false) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.avoid_flush_during_recovery = !flushes;
    options.avoid_flush_during_shutdown = true;
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(options, path, &db).ok());
    return std::unique_ptr<rocksdb::DB>(db);
  }
  // Two operations of together `bytes`. Returns where the log ends then.
  uint64_t Write(rocksdb::DB& db, size_t bytes, bool sync = true) {
    rocksdb::WriteBatch batch;
    std::string value;
    for (size_t i = 0; i < bytes / 2; ++i) value += static_cast<char>(next_ = next_ * 69069 + 1);
    EXPECT_TRUE(batch.Put(std::to_string(next_), value).ok());
    EXPECT_TRUE(batch.Put("same", value).ok());
    MarkSynced(batch, ReadOrMakeLogKey(path_), next_unsynced_);
    rocksdb::WriteOptions options;
    options.sync = sync;
    EXPECT_TRUE(db.Write(options, &batch).ok());
    if (sync) next_unsynced_ = db.GetLatestSequenceNumber() + 1;
    return fs::file_size(Logs().back());
  }
  std::vector<fs::path> Logs() {
    std::vector<fs::path> logs;
    for (const auto& file : fs::directory_iterator(path_)) {
      if (file.path().extension() == ".log") logs.push_back(file.path());
    }
    std::sort(logs.begin(), logs.end());
    return logs;
  }
  std::optional<LogEnd> End() {
    const auto end = FindLogEnd(*rocksdb::FileSystem::Default(), path_);
    EXPECT_TRUE(end.ok()) << end.status();
    return end.value_or(std::nullopt);
  }
  bool IsDamaged() {
    const auto end = End();
    return end && end->is_damage;
  }

  uint32_t next_ = 7;
  uint64_t next_unsynced_ = 0;
  fixture::TempDir dir_;
  const std::string path_ = dir_.path() + "/db";
};

TEST_F(LogCheckTest, OneThatIsNotThereOrEmptyIsWhole) {
  EXPECT_FALSE(End());
  Open(path_);
  EXPECT_FALSE(End());
}

// Small records, of which many are in a block, and large ones over several blocks: wherever a byte
// is another, all are there or it is told; and where the log is cut, as a crash does it, it ends
// before what was cut.
TEST_F(LogCheckTest, DamageIsToldWhereverRecordsComeBehindIt) {
  std::vector<uint64_t> ends = {0};
  {
    auto db = Open(path_);
    for (size_t bytes :
         {10u, 20u, 30u, 40'000u, 50u, 100'000u, 32'700u, 32'720u, 60u, 10u, 70'000u}) {
      ends.push_back(Write(*db, bytes));
    }
  }
  ASSERT_EQ(Logs().size(), 1u);
  const fs::path log = Logs().front();
  const std::string whole = Read(log);
  EXPECT_FALSE(End());
  const uint64_t last_begins = ends[ends.size() - 2];
  const size_t step = 331;
  for (uint64_t at = 0; at < whole.size(); at += step) {
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 0x10);
    Put(log, other);
    const auto end = End();
    // Up to six bytes at the end of a block are no record's.
    if (!end && at % 32768 > 32768 - 7) continue;
    ASSERT_TRUE(end) << at;
    EXPECT_EQ(end->is_damage, at < last_begins) << at;
    EXPECT_EQ(end->path, log.string());
    // Where the record begins, but for what fills the block before it.
    const auto behind = std::upper_bound(ends.begin(), ends.end(), at);
    EXPECT_LE(end->at, at);
    EXPECT_GE(end->at + 7, *(behind - 1)) << at;
  }
  for (uint64_t size = 0; size < whole.size(); size += step) {
    Put(log, whole.substr(0, size));
    const auto end = End();
    const auto behind = std::upper_bound(ends.begin(), ends.end(), size);
    if (!end) {
      EXPECT_LE(size - *(behind - 1), 6u);
      continue;
    }
    EXPECT_FALSE(end->is_damage) << size;
    ASSERT_TRUE(CutLog(*rocksdb::FileSystem::Default(), path_, *end).ok());
    EXPECT_FALSE(End());
    EXPECT_EQ(Read(log), whole.substr(0, end->at));
    EXPECT_GE(end->at + 7, *(behind - 1)) << size;
  }
  // What a write that was cut short leaves on some file systems.
  Put(log, whole.substr(0, last_begins + 20) + std::string(40'000, '\0'));
  EXPECT_FALSE(End()->is_damage);
  // RocksDB passes over zeros.
  std::string zeros = whole;
  zeros.replace(ends[4], ends[5] - ends[4], ends[5] - ends[4], '\0');
  Put(log, zeros);
  EXPECT_TRUE(IsDamaged());
  EXPECT_FALSE(fs::exists(path_ + ".damaged-log"));
}

// Of what was not synced a loss of power may leave any part.
TEST_F(LogCheckTest, WhatWasNotSyncedMayBeGoneWhateverComesBehind) {
  std::vector<uint64_t> ends;
  auto db = Open(path_);
  ends.push_back(Write(*db, 50'000));
  for (int i = 0; i < 3; ++i) ends.push_back(Write(*db, 50'000, /*sync=*/false));
  const fs::path log = Logs().front();
  const std::string whole = Read(log);
  const auto without = [&](size_t record) {
    std::string other = whole;
    other.replace(ends[record - 1] + 10, 4096, 4096, '\0');
    return other;
  };
  for (size_t record : {1u, 2u, 3u}) {
    Put(log, without(record));
    EXPECT_FALSE(End()->is_damage) << record;
    EXPECT_EQ(End()->cuts_records, record < 3);
    EXPECT_EQ(End()->at, ends[record - 1]);
  }
  // The first of them all was.
  std::string other = whole;
  other[ends[0] / 2] = static_cast<char>(other[ends[0] / 2] ^ 1);
  Put(log, other);
  EXPECT_TRUE(IsDamaged());
  EXPECT_EQ(End()->at, 0u);
  // A sync makes all of them last, and the next record says so.
  Put(log, whole);
  db.reset();
  db = Open(path_);
  Write(*db, 10);
  EXPECT_FALSE(End());
  Put(log, without(2));
  // Nothing proves it yet, and it is not the end.
  EXPECT_FALSE(End());
  Write(*db, 10);
  EXPECT_TRUE(IsDamaged());
  EXPECT_EQ(End()->later_files.size(), 1u);
}

TEST_F(LogCheckTest, ALogThatGoesOnBehindACutIsWhole) {
  std::vector<uint64_t> ends;
  {
    auto db = Open(path_);
    for (int i = 0; i < 4; ++i) ends.push_back(Write(*db, 50'000));
  }
  const fs::path first = Logs().front();
  const std::string whole = Read(first);
  Put(first, whole.substr(0, ends[2] + 100));
  {
    auto db = Open(path_);
    Write(*db, 10);
    Write(*db, 10);
  }
  ASSERT_GT(Logs().size(), 1u);
  EXPECT_FALSE(End());
  // RocksDB reads all of it.
  std::string value;
  EXPECT_TRUE(Open(path_)->Get({}, "same", &value).ok());
  EXPECT_EQ(value.size(), 5u);
  // One that was cut before that does not go on with what came next.
  Put(first, whole.substr(0, ends[1] + 100));
  EXPECT_TRUE(IsDamaged());
  Put(first, whole.substr(0, 100));
  EXPECT_TRUE(IsDamaged());
  // Without the key nothing is proven; what cannot be read at all may go.
  fs::remove(path_ + "/log-key");
  EXPECT_FALSE(IsDamaged());
  EXPECT_EQ(End()->at, 0u);
  Put(first, whole.substr(0, ends[1] + 100));
  EXPECT_FALSE(End());
}

TEST_F(LogCheckTest, WhatIsCutForDamageIsKept) {
  std::vector<uint64_t> ends;
  {
    auto db = Open(path_);
    for (int i = 0; i < 3; ++i) ends.push_back(Write(*db, 50'000));
  }
  Write(*Open(path_), 10);
  const std::vector<fs::path> logs = Logs();
  ASSERT_GE(logs.size(), 2u);
  std::string damaged = Read(logs[0]);
  damaged[ends[0] + 50] = static_cast<char>(damaged[ends[0] + 50] ^ 1);
  Put(logs[0], damaged);
  const auto end = End();
  ASSERT_TRUE(end && end->is_damage);
  ASSERT_TRUE(CutLog(*rocksdb::FileSystem::Default(), path_, *end).ok());
  EXPECT_EQ(Logs(), std::vector<fs::path>({logs[0]}));
  EXPECT_EQ(fs::file_size(logs[0]), ends[0]);
  const std::string kept = path_ + ".damaged-log/";
  EXPECT_EQ(Read(kept + logs[0].filename().string()), damaged);
  EXPECT_TRUE(fs::exists(kept + logs[1].filename().string()));
  std::string value;
  EXPECT_TRUE(Open(path_)->Get({}, "same", &value).ok());
}

// Nobody can say whether they were synced where there are no marks.
TEST_F(LogCheckTest, RecordsThatAreCutAreKept) {
  auto db = Open(path_);
  const uint64_t first_ends = Write(*db, 100, /*sync=*/false);
  Write(*db, 100, /*sync=*/false);
  db.reset();
  const fs::path log = Logs().front();
  std::string other = Read(log);
  other[50] = static_cast<char>(other[50] ^ 1);
  Put(log, other);
  const auto end = End();
  ASSERT_TRUE(end && end->cuts_records && !end->is_damage);
  ASSERT_TRUE(CutLog(*rocksdb::FileSystem::Default(), path_, *end).ok());
  EXPECT_EQ(fs::file_size(log), 0u);
  EXPECT_EQ(Read(path_ + ".damaged-log/" + log.filename().string()), other);
  EXPECT_GT(other.size(), first_ends);
}

// A value that is a record with a mark, but for the key, in a record that was cut short.
TEST_F(LogCheckTest, AValueThatLooksLikeARecordProvesNothing) {
  std::string record;
  {
    const std::string other = dir_.path() + "/other";
    auto db = Open(other);
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put("k", std::string(100, 'v')).ok());
    MarkSynced(batch, std::string(16, 'k'), uint64_t{1} << 60);
    ASSERT_TRUE(db->Write({}, &batch).ok());
    for (const auto& file : fs::directory_iterator(other)) {
      if (file.path().extension() == ".log") record = Read(file.path());
    }
  }
  {
    auto db = Open(path_);
    Write(*db, 10);
    rocksdb::WriteBatch batch;
    std::string value;
    while (value.size() < 20'000) value += record;
    ASSERT_TRUE(batch.Put("k", value).ok());
    ASSERT_TRUE(db->Write({}, &batch).ok());
  }
  const fs::path log = Logs().back();
  fs::resize_file(log, fs::file_size(log) - 50);
  ASSERT_TRUE(End());
  EXPECT_FALSE(IsDamaged());
}

// A directory is opened, and cannot be read.
TEST_F(LogCheckTest, AFileThatCannotBeReadIsAnErrorOrDamage) {
  Write(*Open(path_), 10);
  const fs::path log = Logs().back();
  fs::remove(log);
  fs::create_directory(log);
  const auto& files = rocksdb::FileSystem::Default();
  EXPECT_FALSE(FindLogEnd(*files, path_).ok());
  const auto end = FindLogEnd(*files, path_, /*unreadable_is_damage=*/true);
  ASSERT_TRUE(end.ok() && *end);
  EXPECT_TRUE((*end)->is_damage);
}

// The first write of a new log is cut short: nothing in it can be read, and RocksDB would keep it.
TEST_F(LogCheckTest, ALogThatIsCutInItsFirstRecordIsNoDamageLater) {
  const auto open = [](const std::string& path) {
    std::vector<rocksdb::ColumnFamilyHandle*> families;
    auto engine = RocksDbEngine::Open(path, {}, families);
    EXPECT_TRUE(engine.ok()) << engine.status();
    for (rocksdb::ColumnFamilyHandle* family : families) {
      (*engine)->db().DestroyColumnFamilyHandle(family);
    }
    return *std::move(engine);
  };
  const auto put = [](RocksDbEngine& engine, size_t bytes) {
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put("k", std::string(bytes, 'x')).ok());
    ASSERT_TRUE(engine.Write(batch, Durability::kSynced).ok());
  };
  const std::string killed = dir_.path() + "/killed";
  {
    auto engine = open(path_);
    put(*engine, 10);
    put(*engine, 20);
    engine->FlushCatalog();
    put(*engine, 500'000);
    fs::copy(path_, killed);
  }
  const fs::path log = killed / Logs().back().filename();
  fs::resize_file(log, fs::file_size(log) / 2);
  for (int start = 0; start < 4; ++start) {
    auto engine = open(killed);
    std::string value;
    ASSERT_TRUE(engine->db().Get({}, "k", &value).ok());
    EXPECT_EQ(value.size(), 20u);
    put(*engine, 20);
    put(*engine, 20);
  }
}

}  // namespace
}  // namespace sluice::storage
