#include "storage/rocksdb/log_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
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
  uint64_t Write(rocksdb::DB& db, size_t bytes) {
    rocksdb::WriteBatch batch;
    std::string value;
    for (size_t i = 0; i < bytes / 2; ++i) value += static_cast<char>(next_ = next_ * 69069 + 1);
    EXPECT_TRUE(batch.Put(std::to_string(next_), value).ok());
    EXPECT_TRUE(batch.Put("same", value).ok());
    rocksdb::WriteOptions synced;
    synced.sync = true;
    EXPECT_TRUE(db.Write(synced, &batch).ok());
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
  absl::Status Check() { return CheckLog(*rocksdb::FileSystem::Default(), path_); }

  uint32_t next_ = 7;
  fixture::TempDir dir_;
  const std::string path_ = dir_.path() + "/db";
};

TEST_F(LogCheckTest, OneThatIsNotThereOrEmptyIsWhole) {
  EXPECT_TRUE(Check().ok());
  Open(path_);
  EXPECT_TRUE(Check().ok());
}

// Small records, of which many are in a block, and large ones over several blocks: wherever a byte
// is another, all are there or it is told; and where the log is cut, as a crash does it, it is
// whole.
TEST_F(LogCheckTest, DamageIsToldWhereverRecordsComeBehindIt) {
  std::vector<uint64_t> ends;
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
  EXPECT_TRUE(Check().ok());
  const uint64_t last_begins = ends[ends.size() - 2];
  const size_t step = 331;
  for (uint64_t at = 0; at < whole.size(); at += step) {
    std::string other = whole;
    other[at] = static_cast<char>(other[at] ^ 0x10);
    Put(log, other);
    const absl::Status checked = Check();
    // Up to six bytes at the end of a block are no record's.
    const bool is_padding = at % 32768 > 32768 - 7 && checked.ok();
    EXPECT_EQ(checked.ok(), at >= last_begins || is_padding) << at << " " << checked;
    if (checked.ok()) continue;
    EXPECT_TRUE(absl::IsDataLoss(checked));
    EXPECT_THAT(std::string(checked.message()), testing::HasSubstr(log.filename().string()));
  }
  for (uint64_t size = 0; size < whole.size(); size += step) {
    Put(log, whole.substr(0, size));
    EXPECT_TRUE(Check().ok()) << size;
  }
  // What a write that was cut short leaves on some file systems.
  Put(log, whole.substr(0, last_begins + 20) + std::string(40'000, '\0'));
  EXPECT_TRUE(Check().ok());
  // RocksDB passes over zeros.
  std::string zeros = whole;
  zeros.replace(ends[3], ends[4] - ends[3], ends[4] - ends[3], '\0');
  Put(log, zeros);
  EXPECT_TRUE(absl::IsDataLoss(Check()));
}

// The first three records of a log that is then cut, and damaged anew, behind which another begins.
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
  EXPECT_TRUE(Check().ok()) << Check();
  // RocksDB reads all of it.
  std::string value;
  EXPECT_TRUE(Open(path_)->Get({}, "same", &value).ok());
  EXPECT_EQ(value.size(), 5u);
  // One that was cut before that does not go on with what came next.
  Put(first, whole.substr(0, ends[1] + 100));
  EXPECT_TRUE(absl::IsDataLoss(Check()));
  Put(first, whole.substr(0, 100));
  EXPECT_TRUE(absl::IsDataLoss(Check()));
}

// A start that flushes what the log has deletes it only then; and it may be killed before, more
// than once.
TEST_F(LogCheckTest, ALogThatIsFlushedAndNotDeletedYetDoesNotMatter) {
  std::vector<uint64_t> ends;
  {
    auto db = Open(path_);
    for (int i = 0; i < 4; ++i) ends.push_back(Write(*db, 50'000));
  }
  const fs::path first = Logs().front();
  const std::string cut = Read(first).substr(0, ends[2] + 100);
  Put(first, cut);
  for (int start = 0; start < 2; ++start) {
    auto db = Open(path_, /*flushes=*/true);
    Write(*db, 10);
    ASSERT_FALSE(fs::exists(first));
  }
  Put(first, cut);
  EXPECT_TRUE(absl::IsDataLoss(Check()));
  {
    auto db = Open(path_);
    Put(first, cut);
    EXPECT_TRUE(CheckLog(*rocksdb::FileSystem::Default(), path_, OldestNeededLog(*db)).ok());
    EXPECT_TRUE(absl::IsDataLoss(Check()));
  }
  Put(first, cut);
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  auto engine = RocksDbEngine::Open(path_, {}, families);
  ASSERT_TRUE(engine.ok()) << engine.status();
  for (rocksdb::ColumnFamilyHandle* family : families) {
    (*engine)->db().DestroyColumnFamilyHandle(family);
  }
}

}  // namespace
}  // namespace sluice::storage
