#include "storage/keys.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TEST(KeysTest, ABlockKeyReadsBack) {
  auto key = DecodeBlockKey(Encode(BlockKey{7, -3, 99}));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->table, 7u);
  EXPECT_EQ(key->partition, -3);
  EXPECT_EQ(key->sequence, 99u);
}

TEST(KeysTest, BlocksSortByTableThenTimeThenSequence) {
  EXPECT_LT(Encode(BlockKey{1, 5, 9}), Encode(BlockKey{2, -5, 0}));
  EXPECT_LT(Encode(BlockKey{1, -1, 9}), Encode(BlockKey{1, 0, 0}));
  EXPECT_LT(Encode(BlockKey{1, 0, 255}), Encode(BlockKey{1, 0, 256}));
}

TEST(KeysTest, OtherKeysAreNoBlockKeys) {
  EXPECT_FALSE(DecodeBlockKey(SchemaKey(1)));
  EXPECT_FALSE(DecodeBlockKey(DatabaseKey("b")));
  EXPECT_FALSE(DecodeBlockKey(""));
  EXPECT_FALSE(DecodeBlockKey(Encode(BlockKey{}) + "x"));
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
