#include "storage/rocksdb/engine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

bool Becomes(bool writable, const RocksDbEngine& engine) {
  for (int i = 0; i < 500; ++i) {
    if (engine.CheckWritable().ok() == writable) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

// Nothing is flushed, so that the memtables fill up and RocksDB stops writes.
TEST(RocksDbEngineTest, SaysWhileRocksDbHasStoppedWrites) {
  fixture::TempDir dir;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  auto engine = RocksDbEngine::Open(dir.path() + "/db", {}, families).value();
  EXPECT_TRUE(engine->CheckWritable().ok());
  rocksdb::DB& db = engine->db();
  ASSERT_TRUE(
      db.SetOptions({{"write_buffer_size", "1048576"}, {"max_write_buffer_number", "2"}}).ok());
  ASSERT_TRUE(db.PauseBackgroundWork().ok());
  std::thread writer([&] {
    const std::string value(300000, 'x');
    for (int i = 0; i < 40; ++i) {
      rocksdb::WriteBatch batch;
      batch.Put("key" + std::to_string(i), value);
      EXPECT_TRUE(engine->Write(batch, Durability::kUnsynced).ok());
    }
  });
  EXPECT_TRUE(Becomes(false, *engine));
  ASSERT_TRUE(db.ContinueBackgroundWork().ok());
  writer.join();
  EXPECT_TRUE(Becomes(true, *engine));
  for (rocksdb::ColumnFamilyHandle* family : families) db.DestroyColumnFamilyHandle(family);
}

}  // namespace
}  // namespace sluice::storage
