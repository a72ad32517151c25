#include "storage/bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::storage {
namespace {

TEST(BytesTest, EveryPrimitiveReadsBackWhatWasPut) {
  std::string out;
  PutByte(out, 0xfe);
  for (uint64_t value : {uint64_t{0}, uint64_t{127}, uint64_t{128}, ~uint64_t{0}}) {
    PutVarint(out, value);
  }
  for (int64_t value : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min(),
                        std::numeric_limits<int64_t>::max()}) {
    PutZigzag(out, value);
  }
  PutBytes(out, "text");
  PutBe32(out, 0x01020304);
  PutBe64(out, 0x0102030405060708);
  PutLe64(out, 42);
  ByteReader reader(out);
  EXPECT_EQ(reader.Byte(), 0xfe);
  for (uint64_t value : {uint64_t{0}, uint64_t{127}, uint64_t{128}, ~uint64_t{0}}) {
    EXPECT_EQ(reader.Varint(), value);
  }
  for (int64_t value : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min(),
                        std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(reader.Zigzag(), value);
  }
  EXPECT_EQ(reader.Bytes(), "text");
  EXPECT_EQ(reader.Be32(), 0x01020304u);
  EXPECT_EQ(reader.Be64(), 0x0102030405060708u);
  EXPECT_EQ(reader.Le64(), 42u);
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.empty());
}

TEST(BytesTest, BigEndianNumbersSortAsTheirBytesDo) {
  std::string small;
  std::string large;
  PutBe64(small, 255);
  PutBe64(large, 256);
  EXPECT_LT(small, large);
}

TEST(BytesTest, ReadingPastTheEndFailsForGood) {
  ByteReader reader("ab");
  EXPECT_EQ(reader.Be32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.Byte(), 0);
  EXPECT_FALSE(reader.ok());
}

TEST(BytesTest, AVarintOfMoreThanTenBytesFails) {
  std::string endless(11, '\xff');
  ByteReader reader(endless);
  reader.Varint();
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace sluice::storage
