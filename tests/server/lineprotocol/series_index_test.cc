#include "server/lineprotocol/series_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>

namespace sluice::lineprotocol {
namespace {

TEST(SeriesIndexTest, EqualTextsHaveOneNumber) {
  SeriesIndex index;
  EXPECT_EQ(index.Recognize("cpu,host=a f=1"), 0u);
  EXPECT_EQ(index.Recognize("cpu,host=b f=1"), 1u);
  EXPECT_EQ(index.Recognize("cpu,host=a g=2"), 0u);
  EXPECT_EQ(index.Recognize("cpu,host=b "), 1u);
  EXPECT_EQ(index.Recognize("cpu,host=ab "), 2u);
  EXPECT_EQ(index.Recognize("cpu "), 3u);
  EXPECT_EQ(index.measurement(1), "cpu");
  ASSERT_EQ(index.tags(2).size(), 1u);
  EXPECT_EQ(index.tags(2)[0].key, "host");
  EXPECT_EQ(index.tags(2)[0].value, "ab");
  EXPECT_TRUE(index.tags(3).empty());
}

TEST(SeriesIndexTest, WhatIsNotPlainIsLeftToOthers) {
  SeriesIndex index;
  for (const char* text :
       {"", " ", "cpu", "cpu,host=a", "#cpu f=1", "cp\\ u f=1", "cpu,a=b=c f=1", "cpu,a=b,c f=1",
        "cpu,a,b=c f=1", "cpu,=b f=1", "cpu,a= f=1", "cpu, f=1", ",a=b f=1", "c\tpu f=1",
        "cpu,a=b\nf=1", "cpu,a=b,,c=d f=1", "c=pu f=1"}) {
    EXPECT_EQ(index.Recognize(text), kNoNumber) << text;
  }
  EXPECT_EQ(index.Recognize("cpu f=1"), 0u);
}

TEST(SeriesIndexTest, APredictionThatFailsIsNoHarm) {
  SeriesIndex index;
  // b follows a, then c does.
  for (const char* text : {"a f=1", "b f=1", "a f=1", "c f=1", "a f=1", "b f=1", "bb f=1"}) {
    const uint32_t series = index.Recognize(text);
    EXPECT_EQ(index.text(series), std::string_view(text).substr(0, std::string(text).find(' ')));
  }
}

TEST(SeriesIndexTest, ANewSeriesHasTheLastShapeOfItsMeasurement) {
  SeriesIndex index;
  index.set_shape(index.Recognize("cpu,host=a f=1"), 7);
  index.set_shape(index.Recognize("mem,host=a f=1"), 8);
  EXPECT_EQ(index.shape(index.Recognize("cpu,host=b f=1")), 7u);
  EXPECT_EQ(index.shape(index.Recognize("mem,host=b f=1")), 8u);
  EXPECT_EQ(index.shape(index.Recognize("disk,host=b f=1")), kNoNumber);
}

TEST(SeriesIndexTest, SeriesOfTheSameKeysShareANumber) {
  SeriesIndex index;
  const uint32_t first = index.tag_keys(index.Recognize("cpu,host=a,rack=1 f=1"));
  EXPECT_EQ(index.tag_keys(index.Recognize("cpu,host=bb,rack=2 f=1")), first);
  EXPECT_NE(index.tag_keys(index.Recognize("cpu,rack=1,host=a f=1")), first);
  EXPECT_NE(index.tag_keys(index.Recognize("cpu,host=a f=1")), first);
  EXPECT_NE(index.tag_keys(index.Recognize("mem,host=a,rack=1 f=1")), first);
  EXPECT_NE(index.tag_keys(index.Recognize("cpu,hos=a,rack=1 f=1")), first);
}

TEST(SeriesIndexTest, KeepsNumbersApartForVeryMany) {
  SeriesIndex index;
  std::deque<std::string> texts;
  for (uint32_t i = 0; i < 20000; ++i) {
    texts.push_back(fmt::format("cpu,host={} ", i));
    EXPECT_EQ(index.Recognize(texts.back()), i);
  }
  for (uint32_t i = 0; i < 20000; ++i) EXPECT_EQ(index.Recognize(texts[i]), i);
  // There is a bound, and no harm in it.
  for (uint32_t i = 20000; i < 70000; ++i) {
    texts.push_back(fmt::format("cpu,host={} ", i));
    index.Recognize(texts.back());
  }
  EXPECT_EQ(index.Recognize(texts.back()), kNoNumber);
  EXPECT_EQ(index.Recognize(texts.front()), 0u);
}

}  // namespace
}  // namespace sluice::lineprotocol
