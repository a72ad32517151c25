#include "server/ingest/tally.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <vector>

namespace sluice::ingest {
namespace {

// Points that are nowhere but here.
class OnePoint : public PointSource {
 public:
  absl::Status Rewind() override { return absl::OkStatus(); }
  Item Next() override { return Item::kPoint; }
  const Point& point() const override { return point_; }
  Objection fault() const override { return {}; }
  std::optional<Place::Line> line() override { return std::nullopt; }
  std::string_view text() const override { return {}; }
  size_t bytes() const override { return 1; }
  bool is_utf8() const override { return false; }
  bool is_quick() const override { return true; }
  std::string_view no_points() const override { return ""; }

  Point point_;
};

TEST(TallyTest, TellsEveryRejectedIndexByItsDifference) {
  Tally tally(kTellFirst);
  OnePoint points;
  tally.Accept(3);
  tally.Reject(points, false, {Reason::kNoFields, "no", ""});
  tally.Reject(points, false, {Reason::kNoFields, "no", ""});
  tally.Accept(1000);
  tally.Reject(points, true, {Reason::kSyntax, "bad", "c"});
  const Outcome outcome = tally.Take();
  EXPECT_EQ(outcome.ingested, 1003);
  EXPECT_EQ(outcome.rejected, 3);
  EXPECT_EQ(outcome.rejected_index_deltas, (std::vector<uint32_t>{3, 1, 1001}));
  ASSERT_EQ(outcome.rejections.size(), 3u);
  EXPECT_EQ(outcome.rejections[2].place.index, 1005);
  EXPECT_TRUE(outcome.rejections[2].unreadable);
  ASSERT_EQ(outcome.counts.size(), 2u);
  EXPECT_EQ(outcome.counts[0].count, 2);
  EXPECT_EQ(outcome.counts[0].first_index, 3);
  EXPECT_EQ(outcome.counts[1].column, "c");
}

TEST(TallyTest, CountsAHundredCausesAndTheRestByReason) {
  for (int causes : {100, 101, 5000}) {
    Tally tally(kTellFirst);
    OnePoint points;
    for (int i = 0; i < causes; ++i) {
      const std::string table = fmt::format("t{}", i);
      points.point_.table = table;
      const Reason reason = i % 2 == 0 ? Reason::kNoFields : Reason::kTableLimit;
      for (int times = 0; times < (i == 7 ? 3 : 1); ++times) {
        tally.Reject(points, false, {reason, "no", ""});
      }
    }
    const Outcome outcome = tally.Take();
    EXPECT_EQ(outcome.counts.size(), causes == 100 ? 100u : causes == 101 ? 87u : 85u);
    int64_t counted = 0;
    for (const RejectionCount& count : outcome.counts) counted += count.count;
    EXPECT_EQ(counted, causes + 2);
    const size_t most = causes == 100 ? 0 : 2;
    EXPECT_EQ(outcome.counts[most].table, "t7");
    for (size_t i = 0; i < most; ++i) EXPECT_EQ(outcome.counts[i].table, "");
  }
}

TEST(TallyTest, TellsAHundredInFullAndNoMoreThanItsBytes) {
  Tally tally(kTellFirst);
  OnePoint points;
  for (int i = 0; i < 200; ++i) tally.Reject(points, false, {Reason::kSyntax, "x", ""});
  EXPECT_EQ(tally.Take().rejections.size(), kMaxRejections);
  Tally long_ones(kTellFirst);
  for (int i = 0; i < 200; ++i) {
    long_ones.Reject(points, false, {Reason::kSyntax, std::string(50'000, 'x'), ""});
  }
  const Outcome outcome = long_ones.Take();
  EXPECT_EQ(outcome.rejections.size(), 6u);
  EXPECT_EQ(outcome.rejected_index_deltas.size(), 200u);
}

TEST(TallyTest, TellsSoManyIndexesAndNoneOfMore) {
  for (int64_t count : {kMaxToldIndexes, kMaxToldIndexes + 1}) {
    Tally tally(kTellFirst);
    OnePoint points;
    for (int64_t i = 0; i < count; ++i) tally.Reject(points, false, {Reason::kSyntax, "", ""});
    EXPECT_EQ(tally.Take().rejected_index_deltas.size(), count == kMaxToldIndexes ? count : 0);
  }
}

TEST(ExcerptTest, IsThePointAsALine) {
  const std::vector<Tag> tags = {{"room", "the hall"}, {"a,b", "x=y"}};
  const std::vector<Field> fields = {{.key = "f", .bits = std::bit_cast<int64_t>(1.5)},
                                     {.key = "i", .type = FieldType::kInteger, .bits = -2},
                                     {.key = "u", .type = FieldType::kUnsigned, .bits = -1},
                                     {.key = "s", .type = FieldType::kString, .text = "say \"x\""},
                                     {.key = "b", .type = FieldType::kBoolean, .bits = 1}};
  EXPECT_EQ(ExcerptOf({.table = "home", .tags = tags, .fields = fields, .timestamp = 7}),
            "home,room=the\\ hall,a\\,b=x\\=y f=1.5,i=-2i,u=18446744073709551615u,"
            "s=\"say \\\"x\\\"\",b=true 7");
  EXPECT_EQ(ExcerptOf({.table = "bad\xff"}), "bad?");
  const std::string table(300, 'x');
  EXPECT_EQ(ExcerptOf({.table = table}), std::string(kMaxExcerptBytes, 'x'));
}

}  // namespace
}  // namespace sluice::ingest
