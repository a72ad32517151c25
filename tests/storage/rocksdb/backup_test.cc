#include "storage/rocksdb/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "server/ingest/pipeline.h"
#include "storage/rocksdb/check.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"
#include "tests/fixture/write_lines.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BackupTest : public testing::Test {
 protected:
  BackupTest() { Open(); }

  void Open() { store_ = OpenRocksDbStore(data_, {.min_free_disk_bytes = 0}).value(); }
  void Create(const std::string& database) {
    ASSERT_TRUE(store_->CreateDatabase(DatabaseName::Parse(database).value(), {}).ok());
  }
  void Write(const std::string& database, const std::string& lines) {
    ingest::RejectionLog log;
    const auto outcome = fixture::WriteLines(
        *store_, log, {.database = DatabaseName::Parse(database).value(), .body = lines});
    ASSERT_TRUE(outcome.ok() && outcome->rejected == 0);
  }
  BackupRecord Backup() {
    const auto made = store_->Backup({.dir = backups_});
    EXPECT_TRUE(made.ok()) << made.status();
    return made.value_or(BackupRecord());
  }
  // Rows of a restored backup.
  size_t RowsOf(std::optional<uint32_t> id) {
    const std::string to = dir_.path() + "/restored" + std::to_string(++restored_);
    const auto record = RestoreBackup(backups_, id, to);
    EXPECT_TRUE(record.ok()) << record.status();
    const auto report = CheckStore(to);
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->faults, testing::IsEmpty());
    // A server makes of it what it was.
    const auto store = OpenRocksDbStore(to, {.min_free_disk_bytes = 0});
    EXPECT_TRUE(store.ok()) << store.status();
    return report->rows;
  }
  fs::path AnyFileOf(uint32_t id, const std::string& extension) {
    for (const auto& entry : fs::recursive_directory_iterator(backups_)) {
      const bool shared = entry.path().string().find("shared") != std::string::npos;
      const bool own =
          entry.path().string().find("private/" + std::to_string(id)) != std::string::npos;
      if ((shared || own) && entry.path().extension() == extension) return entry.path();
    }
    return {};
  }

  static void FlipAByteOf(const fs::path& file) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(fs::file_size(file) / 2));
    const char byte = static_cast<char>(bytes.get() ^ 1);
    bytes.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
    bytes.put(byte);
  }

  fixture::TempDir dir_;
  const std::string data_ = dir_.path() + "/data";
  const std::string backups_ = dir_.path() + "/backups";
  std::unique_ptr<Store> store_;
  int restored_ = 0;
};

TEST_F(BackupTest, EachIsWholeByItselfAndSharesWhatDoesNotChange) {
  Create("a");
  Write("a", "m f=1 1\nm f=2 2");
  const BackupRecord first = Backup();
  Write("a", "m f=3 3");
  Create("b");
  Write("b", "m f=1 1");
  const BackupRecord second = Backup();
  EXPECT_GT(second.id, first.id);
  EXPECT_EQ(first.format, 4);
  EXPECT_EQ(first.instance, store_->InstanceId());
  EXPECT_EQ(ListBackups(backups_)->size(), 2u);
  EXPECT_TRUE(VerifyBackup(backups_, first.id).ok());
  EXPECT_TRUE(VerifyBackup(backups_, second.id).ok());
  EXPECT_EQ(RowsOf(first.id), 2u);
  EXPECT_EQ(RowsOf(second.id), 4u);
  EXPECT_EQ(RowsOf(std::nullopt), 4u);
  // What has been dropped since is in the older ones.
  ASSERT_TRUE(store_->DropDatabase(DatabaseName::Parse("a").value()).ok());
  const BackupRecord third = Backup();
  EXPECT_EQ(RowsOf(third.id), 1u);
  EXPECT_EQ(RowsOf(second.id), 4u);
  ASSERT_TRUE(store_->DeleteOldBackups(backups_, 1).ok());
  EXPECT_EQ(ListBackups(backups_)->size(), 1u);
  EXPECT_EQ(VerifyBackup(backups_, first.id).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(RowsOf(third.id), 1u);
}

TEST_F(BackupTest, TablesAreThereOnceForAllBackups) {
  Create("a");
  Write("a", "m f=1 1");
  // An end in order and a new start leave tables.
  store_.reset();
  Open();
  Backup();
  ASSERT_FALSE(AnyFileOf(1, ".sst").empty());
  const auto tables = [&] {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(backups_)) {
      count += entry.path().extension() == ".sst" ? 1 : 0;
    }
    return count;
  };
  const size_t before = tables();
  Write("a", "m f=2 2");
  Backup();
  EXPECT_EQ(tables(), before);
  EXPECT_EQ(RowsOf(1), 1u);
  EXPECT_EQ(RowsOf(2), 2u);
}

// One flipped byte, and a file that is gone.
TEST_F(BackupTest, DamageIsFoundByAVerificationAndByARestore) {
  Create("a");
  Write("a", "m f=1 1");
  store_.reset();
  Open();
  for (const std::string extension : {".sst", ".log"}) {
    const BackupRecord backup = Backup();
    fs::path file = AnyFileOf(backup.id, extension);
    if (file.empty() || fs::file_size(file) == 0) {
      Write("a", "m f=2 2");
      fs::remove_all(backups_);
      file = AnyFileOf(Backup().id, extension);
    }
    ASSERT_FALSE(file.empty()) << extension;
    const uint32_t id = ListBackups(backups_)->back().id;
    FlipAByteOf(file);
    EXPECT_EQ(VerifyBackup(backups_, id).code(), absl::StatusCode::kDataLoss) << extension;
    const std::string to = dir_.path() + "/damaged" + extension;
    EXPECT_EQ(RestoreBackup(backups_, id, to).status().code(), absl::StatusCode::kDataLoss);
    // There is nothing that a server would take for a store.
    EXPECT_FALSE(fs::exists(to + "/FORMAT"));
    EXPECT_FALSE(fs::exists(to + "/rocksdb"));
    EXPECT_FALSE(fs::exists(to + "/rocksdb.incomplete"));
    fs::remove(file);
    EXPECT_EQ(VerifyBackup(backups_, id).code(), absl::StatusCode::kDataLoss) << extension;
    fs::remove_all(backups_);
  }
}

// RocksDB never copies again what a backup has.
TEST_F(BackupTest, AFileThatIsDamagedIsCopiedAnewForAllThatShareIt) {
  Create("a");
  Write("a", "m f=1 1");
  store_.reset();
  Open();
  const BackupRecord first = Backup();
  const fs::path table = AnyFileOf(first.id, ".sst");
  FlipAByteOf(table);
  const BackupRecord second = Backup();
  EXPECT_EQ(VerifyBackup(backups_, second.id).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store_->MendBackup(backups_, second.id), 1u);
  EXPECT_TRUE(VerifyBackup(backups_, second.id).ok());
  EXPECT_TRUE(VerifyBackup(backups_, first.id).ok());
  EXPECT_EQ(RowsOf(first.id), 1u);
  EXPECT_EQ(store_->MendBackup(backups_, second.id), 0u);
  EXPECT_EQ(store_->MendBackup(backups_, 77), 0u);
}

// What the store has is not what was backed up.
TEST_F(BackupTest, AFileThatTheStoreDoesNotHaveStaysDamaged) {
  Create("a");
  Write("a", "m f=1 1");
  store_.reset();
  Open();
  const BackupRecord backup = Backup();
  const fs::path table = AnyFileOf(backup.id, ".sst");
  FlipAByteOf(table);
  FlipAByteOf(data_ + "/rocksdb/" + table.filename().string().substr(0, 6) + ".sst");
  EXPECT_EQ(store_->MendBackup(backups_, backup.id), 0u);
  EXPECT_EQ(VerifyBackup(backups_, backup.id).code(), absl::StatusCode::kDataLoss);
}

TEST_F(BackupTest, OneIsDeletedAndTheOthersKeepWhatTheyShared) {
  Create("a");
  Write("a", "m f=1 1");
  store_.reset();
  Open();
  const BackupRecord first = Backup();
  const BackupRecord second = Backup();
  ASSERT_TRUE(store_->DeleteBackup(backups_, first.id).ok());
  EXPECT_EQ(ListBackups(backups_)->size(), 1u);
  EXPECT_EQ(RowsOf(second.id), 1u);
  EXPECT_EQ(store_->DeleteBackup(backups_, first.id).code(), absl::StatusCode::kNotFound);
}

// A backup of it would be as it is, and good by its own checksums.
TEST_F(BackupTest, ADamagedTableOfTheStoreMakesNoBackup) {
  Create("a");
  Write("a", "m f=1 1");
  store_.reset();
  Open();
  for (const auto& entry : fs::directory_iterator(data_ + "/rocksdb")) {
    if (entry.path().extension() == ".sst") FlipAByteOf(entry.path());
  }
  EXPECT_EQ(store_->Backup({.dir = backups_}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ListBackups(backups_)->size(), 0u);
}

TEST_F(BackupTest, NothingIsRestoredOverAStore) {
  Create("a");
  Backup();
  const absl::Status refused = RestoreBackup(backups_, std::nullopt, data_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(RestoreBackup(backups_, 7, dir_.path() + "/x").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(RestoreBackup("/nowhere", std::nullopt, dir_.path() + "/x").status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ListBackups("/nowhere")->size(), 0u);
  // What a restore that was killed has left is no hindrance.
  fs::create_directories(dir_.path() + "/again/rocksdb.incomplete");
  std::ofstream(dir_.path() + "/again/rocksdb.incomplete/000001.sst") << "half";
  EXPECT_TRUE(RestoreBackup(backups_, std::nullopt, dir_.path() + "/again").ok());
  EXPECT_TRUE(CheckStore(dir_.path() + "/again")->faults.empty());
}

// RocksDB would delete what no description names.
TEST_F(BackupTest, WithoutTheirDescriptionsBackupsAreLeftAlone) {
  Create("a");
  Write("a", "m f=1 1");
  const BackupRecord backup = Backup();
  fs::rename(backups_ + "/meta", dir_.path() + "/meta");
  EXPECT_EQ(store_->Backup({.dir = backups_}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store_->DeleteOldBackups(backups_, 1).code(), absl::StatusCode::kDataLoss);
  fs::remove_all(backups_ + "/meta");
  fs::rename(dir_.path() + "/meta", backups_ + "/meta");
  EXPECT_TRUE(VerifyBackup(backups_, backup.id).ok());
  EXPECT_EQ(RowsOf(backup.id), 1u);
}

TEST_F(BackupTest, OneThatIsStoppedLeavesNothing) {
  Create("a");
  for (int i = 0; i < 20; ++i) {
    std::string lines;
    for (int j = 0; j < 1000; ++j) {
      lines += "m s=\"" + std::string(500, static_cast<char>('a' + (i * 31 + j * 17) % 26)) +
               std::to_string(j) + "\" " + std::to_string(i * 1000 + j) + "\n";
    }
    Write("a", lines);
  }
  int asked = 0;
  const auto stopped =
      store_->Backup({.dir = backups_, .should_stop = [&] { return ++asked > 0; }});
  // Where there was too little to be asked it is complete.
  if (asked == 0) GTEST_SKIP() << "the backup was over before anybody was asked";
  EXPECT_EQ(stopped.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ListBackups(backups_)->size(), 0u);
  const BackupRecord next = Backup();
  EXPECT_TRUE(VerifyBackup(backups_, next.id).ok());
  EXPECT_EQ(RowsOf(next.id), 20'000u);
}

TEST_F(BackupTest, ACheckSeesDamageAndAServerThatRuns) {
  Create("a");
  Write("a", "m f=1 1");
  EXPECT_EQ(CheckStore(data_).status().code(), absl::StatusCode::kUnavailable);
  store_.reset();
  Open();
  store_.reset();
  const auto good = CheckStore(data_);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->databases, 1u);
  EXPECT_EQ(good->tables, 1u);
  EXPECT_EQ(good->rows, 1u);
  EXPECT_THAT(good->faults, testing::IsEmpty());
  for (const auto& entry : fs::directory_iterator(data_ + "/rocksdb")) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream bytes(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(10);
    bytes.put('\xff');
  }
  EXPECT_FALSE(CheckStore(data_)->faults.empty());
  EXPECT_EQ(CheckStore(dir_.path() + "/nothing").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sluice::storage
