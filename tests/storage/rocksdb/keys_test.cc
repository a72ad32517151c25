#include "storage/rocksdb/keys.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TEST(KeysTest, ABlockKeyReadsBack) {
  EXPECT_EQ(DecodeBlockKey(Encode(BlockKey{7, -3, 99, 5})), (BlockKey{7, -3, 99, 5}));
}

TEST(KeysTest, BlocksSortByTableThenTimeThenSequence) {
  EXPECT_LT(Encode(BlockKey{1, 5, 9}), Encode(BlockKey{2, -5, 0}));
  EXPECT_LT(Encode(BlockKey{1, -1, 9}), Encode(BlockKey{1, 0, 0}));
  EXPECT_LT(Encode(BlockKey{1, 0, 255, 9}), Encode(BlockKey{1, 0, 256, 0}));
}

TEST(KeysTest, OtherKeysAreNoBlockKeys) {
  EXPECT_FALSE(DecodeBlockKey(SchemaKey(1)));
  EXPECT_FALSE(DecodeBlockKey(DatabaseKey("b")));
  EXPECT_FALSE(DecodeBlockKey(""));
  EXPECT_FALSE(DecodeBlockKey(Encode(BlockKey{}) + "x"));
  EXPECT_FALSE(DecodeBlockKey(BodyKey(BlockKey{})));
}

TEST(KeysTest, PartitionsRoundTowardsThePast) {
  EXPECT_EQ(PartitionOf(0, 10), 0);
  EXPECT_EQ(PartitionOf(9, 10), 0);
  EXPECT_EQ(PartitionOf(10, 10), 1);
  EXPECT_EQ(PartitionOf(-1, 10), -1);
  EXPECT_EQ(PartitionOf(-10, 10), -1);
  EXPECT_EQ(PartitionOf(-11, 10), -2);
}

}  // namespace
}  // namespace sluice::storage
