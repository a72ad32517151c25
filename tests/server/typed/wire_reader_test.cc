#include "server/typed/wire_reader.h"

#include <gtest/gtest.h>

#include <limits>

#include "sluice/v1/points.pb.h"

namespace sluice::typed {
namespace {

TEST(WireReaderTest, ReadsWhatProtobufWrites) {
  v1::TableBatch table;
  table.set_table("home");
  table.set_row_count(300);
  table.add_timestamps(-1);
  const std::string bytes = table.SerializeAsString();
  WireReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  EXPECT_TRUE(reader.field().Is(1, WireField::Type::kBytes));
  EXPECT_EQ(reader.field().bytes, "home");
  EXPECT_EQ(reader.raw(), "\x0a\x04home");
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field().value, 300u);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.field().bytes, std::string(8, '\xff'));
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(WireReaderTest, SaysWhereThereIsNoMessage) {
  for (std::string_view bytes :
       {std::string_view("\x0a\x05home"), std::string_view("\x0a"), std::string_view("\x08"),
        std::string_view("\x09\x01\x02"), std::string_view("\x0d\x01"), std::string_view("\x0b"),
        std::string_view("\x00\x01", 2), std::string_view("\x0f\x01"),
        std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    WireReader reader(bytes);
    while (reader.Next()) {
    }
    EXPECT_FALSE(reader.ok()) << bytes;
  }
}

// A repeated field may come in pieces, packed or one by one.
TEST(FixedListTest, GathersWhatComesInPieces) {
  const auto field = [](WireField::Type type, std::string_view bytes) {
    WireField made;
    made.type = type;
    made.bytes = bytes;
    return made;
  };
  FixedList<uint32_t> list;
  EXPECT_TRUE(list.Add(field(WireField::Type::kBytes, {"\x01\0\0\0\x02\0\0\0", 8})));
  EXPECT_TRUE(list.Add(field(WireField::Type::kFixed32, {"\x03\0\0\0", 4})));
  EXPECT_TRUE(list.Add(field(WireField::Type::kBytes, {"\x04\0\0\0", 4})));
  ASSERT_EQ(list.numbers().size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(list.numbers()[i], i + 1);
  EXPECT_FALSE(list.Add(field(WireField::Type::kBytes, "abc")));
}

TEST(AddZigzagsTest, ReadsNumbersPackedAndAlone) {
  v1::FieldColumn::Integers integers;
  const std::vector<int64_t> numbers = {
      0, -1, 1, 300, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  for (int64_t number : numbers) integers.add_compact_values(number);
  const std::string bytes = integers.SerializeAsString();
  WireReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  std::vector<int64_t> read;
  EXPECT_TRUE(AddZigzags(reader.field(), read));
  EXPECT_EQ(read, numbers);
  WireField alone;
  alone.value = 3;
  EXPECT_TRUE(AddZigzags(alone, read));
  EXPECT_EQ(read.back(), -2);
  WireField cut;
  cut.type = WireField::Type::kBytes;
  cut.bytes = "\x80";
  EXPECT_FALSE(AddZigzags(cut, read));
}

}  // namespace
}  // namespace sluice::typed
