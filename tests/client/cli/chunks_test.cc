#include "client/cli/chunks.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace sluice::client {
namespace {

using testing::ElementsAre;

// Gives a text a few bytes at a time.
class TextInput : public Input {
 public:
  explicit TextInput(std::string text, size_t piece_bytes = 777)
      : text_(std::move(text)), piece_bytes_(piece_bytes) {}
  absl::Status Read(size_t max_bytes, std::string& to) override {
    if (read_time.count() > 0) std::this_thread::sleep_for(read_time);
    const size_t count = std::min({max_bytes, text_.size() - at_, piece_bytes_});
    to.append(text_, at_, count);
    at_ += count;
    return absl::OkStatus();
  }
  bool IsReady(std::chrono::milliseconds) const override { return at_ < ready_bytes; }
  int64_t stored_bytes() const override { return static_cast<int64_t>(at_); }
  std::optional<int64_t> all_stored_bytes() const override { return std::nullopt; }
  const std::string& identity() const override { return identity_; }

  // What a read takes.
  std::chrono::milliseconds read_time{0};
  // What is behind these comes late.
  size_t ready_bytes = std::string::npos;

 private:
  const std::string identity_;
  const std::string text_;
  const size_t piece_bytes_;
  size_t at_ = 0;
};

std::vector<Chunk> All(Chunks& chunks) {
  std::vector<Chunk> all;
  while (true) {
    absl::StatusOr<std::optional<Chunk>> chunk = chunks.Next();
    EXPECT_TRUE(chunk.ok()) << chunk.status();
    if (!chunk.ok() || !*chunk) return all;
    all.push_back(**std::move(chunk));
  }
}

std::vector<Chunk> Cut(const std::string& text, size_t chunk_bytes) {
  TextInput input(text);
  LineChunks chunks(input, chunk_bytes);
  return All(chunks);
}

TEST(LineChunksTest, TogetherTheyAreTheFileAndPointsStayWhole) {
  std::string text;
  for (int i = 0; i < 2000; ++i) {
    text += i % 7 == 0 ? fmt::format("m s=\"line {}\nbad line\n\nend\" {}\n", i, i)
                       : fmt::format("m f={} {}\n", i, i);
  }
  text += "m f=1 1";
  for (size_t bytes : {1, 100, 1000, 5000, 1'000'000}) {
    std::string together;
    for (const Chunk& chunk : Cut(text, bytes)) {
      EXPECT_EQ(chunk.first_line, 1 + std::count(together.begin(), together.end(), '\n'));
      EXPECT_EQ(std::count(chunk.text.begin(), chunk.text.end(), '"') % 2, 0);
      together += chunk.text;
    }
    EXPECT_EQ(together, text);
  }
}

TEST(LineChunksTest, AreTheSameHoweverTheFileIsRead) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += fmt::format("m,h={} f=\"{}\" {}\n", i % 7, i * i, i);
  std::vector<std::vector<std::string>> cuts;
  for (size_t piece : {1, 100, 4096, 50'000, 1'000'000}) {
    TextInput input(text, piece);
    LineChunks chunks(input, 10'000);
    std::vector<std::string>& texts = cuts.emplace_back();
    for (const Chunk& chunk : All(chunks)) texts.push_back(chunk.text);
    EXPECT_GT(texts.size(), 10u);
    EXPECT_EQ(texts, cuts.front());
  }
}

// Also where something comes all the time.
TEST(LineChunksTest, WhatComesSlowlyDoesNotWaitForMore) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += fmt::format("m f={} {}\n", i, i);
  for (const bool trickles : {false, true}) {
    TextInput input(text, 10);
    if (trickles) {
      input.read_time = std::chrono::milliseconds(30);
    } else {
      input.ready_bytes = 500;
    }
    LineChunks chunks(input, 1 << 20, false);
    const absl::StatusOr<std::optional<Chunk>> first = chunks.Next();
    ASSERT_TRUE(first.ok() && *first);
    EXPECT_LT((*first)->text.size(), text.size());
    std::string together = (*first)->text;
    for (const Chunk& chunk : All(chunks)) together += chunk.text;
    EXPECT_EQ(together, text);
  }
}

TEST(CsvChunksTest, WhatComesSlowlyDoesNotWaitForMore) {
  std::string text = "time,f\n";
  for (int i = 0; i < 100; ++i) text += fmt::format("{},{}\n", i, i);
  TextInput input(text, text.find("\n50,") + 1);
  input.ready_bytes = 1;
  CsvChunks chunks(input, 1 << 20, {.table = "m"}, false);
  const absl::StatusOr<std::optional<Chunk>> first = chunks.Next();
  ASSERT_TRUE(first.ok() && *first);
  EXPECT_EQ(std::count((*first)->text.begin(), (*first)->text.end(), '\n'), 50);
  std::string together = (*first)->text;
  for (const Chunk& chunk : All(chunks)) together += chunk.text;
  EXPECT_EQ(std::count(together.begin(), together.end(), '\n'), 100);
}

TEST(LineChunksTest, LinesThatCannotBeReadGoAlong) {
  const std::vector<Chunk> chunks = Cut("bad\nm f=1 1\nworse \"\n", 1);
  std::string together;
  for (const Chunk& chunk : chunks) together += chunk.text;
  EXPECT_EQ(together, "bad\nm f=1 1\nworse \"\n");
  EXPECT_TRUE(Cut("", 1).empty());
  std::string faulty;
  while (faulty.size() < (20 << 20)) faulty += "no fields at all here \"\n";
  together.clear();
  for (const Chunk& chunk : Cut(faulty, 1000)) together += chunk.text;
  EXPECT_EQ(together, faulty);
}

TEST(LineChunksTest, ALineThatDoesNotEndIsAnError) {
  TextInput input(std::string(40 << 20, 'x'));
  LineChunks chunks(input, 1000);
  EXPECT_EQ(chunks.Next().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(LineChunksTest, WhatIsNotUtf8IsTakenOut) {
  const std::vector<Chunk> chunks = Cut("m f=1 1\nm,t=\xff f=1 2\nm f=2 3\n\xfe", 1000);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].text, "m f=1 1\n\nm f=2 3\n");
  ASSERT_EQ(chunks[0].bad_lines.size(), 2u);
  EXPECT_EQ(chunks[0].bad_lines[0].line, 2);
  EXPECT_EQ(chunks[0].bad_lines[0].excerpt, "m,t=? f=1 2");
  EXPECT_EQ(chunks[0].bad_lines[1].line, 4);
  EXPECT_EQ(chunks[0].LineInFile(3), 3);
}

TEST(LineChunksTest, ATextOverSeveralLinesIsTakenOutWhole) {
  const std::vector<Chunk> chunks =
      Cut("m f=\"a\n\xff\nm g=\\\"x\\\" 9\nm2 v=1 5\n\" 2\n# \xff\nm f=1 3\n", 1000);
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].text, "\n\n\n\n\n# ?\nm f=1 3\n");
  ASSERT_EQ(chunks[0].bad_lines.size(), 1u);
  EXPECT_EQ(chunks[0].bad_lines[0].line, 1);
}

std::vector<Chunk> CutCsv(const std::string& text, size_t chunk_bytes = 1 << 20) {
  TextInput input(text);
  CsvChunks chunks(input, chunk_bytes, {.table = "t 1", .tags = {"host"}, .time = "at"});
  return All(chunks);
}

TEST(CsvChunksTest, BecomesLines) {
  const std::vector<Chunk> chunks = CutCsv(
      "at,host,f,b,s,n:unsigned\n"
      "5,\"a,b\",1.5,true,\"say \"\"hi\"\"\",7\n"
      "\n"
      "6,,2,f,a\\b,\r\n");
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].text,
            "t\\ 1,host=a\\,b f=1.5,b=true,s=\"say \\\"hi\\\"\",n=7u 5\n"
            "t\\ 1 f=2,b=f,s=\"a\\\\b\" 6\n");
  EXPECT_EQ(chunks[0].LineInFile(1), 2);
  EXPECT_EQ(chunks[0].LineInFile(2), 4);
}

TEST(CsvChunksTest, SaysOfARecordWhatIsWrongWithIt) {
  std::vector<int64_t> lines;
  for (const Chunk& chunk : CutCsv("at,f:integer,s,host\n"
                                   "1,2,\"two\nlines\",a\n"
                                   "2,x,,a\n"
                                   "3,4\n"
                                   "soon,4,,a\n"
                                   "6,,,a\n"
                                   "7,5,\xff,a\n"
                                   "8,5,a,\"open",
                                   1)) {
    for (const Chunk::BadLine& bad : chunk.bad_lines) lines.push_back(bad.line);
    // A text over two lines has one record's number for both.
    if (chunk.text.find("two") != std::string::npos) {
      EXPECT_EQ(chunk.LineInFile(1), 2);
      EXPECT_EQ(chunk.LineInFile(2), 2);
    }
  }
  EXPECT_THAT(lines, ElementsAre(4, 5, 6, 7, 8, 9));
}

std::string CsvLines(const std::string& text, CsvFormat format) {
  TextInput input(text);
  CsvChunks chunks(input, 1 << 20, std::move(format));
  std::string lines;
  for (const Chunk& chunk : All(chunks)) {
    lines += chunk.text;
    for (const Chunk::BadLine& bad : chunk.bad_lines) lines += bad.message + "\n";
  }
  return lines;
}

TEST(CsvChunksTest, TakesTimesOfBothKinds) {
  const std::string text =
      "time,f\n1970-01-01T00:00:01.5Z,1\n2,2\n2026-11-26T12:00:00+01:00,3\nyesterday,4\n"
      "2500-01-01T00:00:00Z,5\ninfinite-future,6\n";
  EXPECT_EQ(CsvLines(text, {.table = "m", .precision = Precision::kMillisecond}),
            "m f=1 1500\nm f=2 2\nm f=3 1795690800000\n"
            "'yesterday' is neither a whole number nor a time such as 2026-11-26T12:00:00.5Z\n"
            "'2500-01-01T00:00:00Z' does not fit into the timestamps' precision\n"
            "'infinite-future' does not fit into the timestamps' precision\n");
  const std::string early = "time,f\n1970-01-01T00:00:01.5Z,1\n";
  EXPECT_EQ(CsvLines(early, {.table = "m"}), "m f=1 1500000000\n");
  EXPECT_EQ(CsvLines("time,f\n1970-01-01 00:00:01.5,1\n1970-01-01 01:00:01+01:00,2\n1970-01-02,3\n"
                     "1970-01-01T00:00:02,4\n",
                     {.table = "m", .precision = Precision::kMillisecond}),
            "m f=1 1500\nm f=2 1000\nm f=3 86400000\nm f=4 2000\n");
  const std::string unfit =
      "'1970-01-01T00:00:01.5Z' does not fit into the timestamps' precision\n";
  EXPECT_EQ(CsvLines(early, {.table = "m", .precision = Precision::kSecond}), unfit);
  EXPECT_EQ(CsvLines(early, {.table = "m", .precision = Precision::kAuto}), unfit);
  EXPECT_EQ(CsvLines("time,f\n1970-02-27T20:53:20Z,1\n1970-02-27T20:53:19.999999999Z,2\n",
                     {.table = "m", .precision = Precision::kAuto}),
            "m f=1 5000000000000000\n"
            "'1970-02-27T20:53:19.999999999Z' does not fit into the timestamps' precision\n");
}

TEST(CsvChunksTest, ValuesThatAreNoneMakeNoTexts) {
  EXPECT_EQ(CsvLines("f\tg\nNaN\t1\n2\tNULL\n", {.table = "m", .time = "", .separator = '\t'}),
            "m f=\"NaN\",g=\"1\"\nm f=\"2\",g=\"NULL\"\n");
  EXPECT_EQ(CsvLines("f\tg\nNaN\t1\n2\tNULL\n",
                     {.table = "m", .time = "", .separator = '\t', .nulls = {"NaN", "NULL"}}),
            "m g=1\nm f=2\n");
}

TEST(CsvChunksTest, WhatTheTableHasIsNotGuessed) {
  EXPECT_EQ(
      CsvLines("time,host,i,u,s,new\n1,a,5,6,7,8\n2,b,,,\"\",\"\"\n", {.table = "m",
                                                                       .known = {{"time", "time"},
                                                                                 {"host", "tag"},
                                                                                 {"i", "integer"},
                                                                                 {"u", "unsigned"},
                                                                                 {"s", "string"}}}),
      "m,host=a i=5i,u=6u,s=\"7\",new=8 1\nm,host=b s=\"\" 2\n");
}

// A column that begins late is what its first value is.
TEST(CsvChunksTest, AColumnIsWhatItsFirstValueIs) {
  std::string text = "time,a,b\n";
  for (int i = 0; i < 1001; ++i) text += fmt::format("{},1,\n", i);
  text += "2000,1,5.5\n2001,1,true\n";
  const std::string lines = CsvLines(text, {.table = "m"});
  EXPECT_THAT(lines,
              testing::EndsWith(
                  "m a=1,b=5.5 2000\n'true' is not of type float, as the column 'b' is by its "
                  "first values; a type in the header, such as b:boolean, says otherwise\n"));
}

TEST(CsvChunksTest, NumbersBecomeThoseOfLineProtocol) {
  EXPECT_EQ(CsvLines("f,g\n.5,5.\n+5,-.5\n1e5,0.10\n\"2.5\n\",1\n2.5 ,1\n 2.5,1\n",
                     {.table = "a=b,c", .time = ""}),
            "a=b\\,c f=\".5\",g=5\na=b\\,c f=\"+5\",g=-0.5\na=b\\,c f=\"1e5\",g=0.10\n"
            "a=b\\,c f=\"2.5\n\",g=1\na=b\\,c f=\"2.5 \",g=1\na=b\\,c f=\" 2.5\",g=1\n");
  EXPECT_EQ(CsvLines("f:float\n.5\n2.\n+3\n\"4\n\"\n5 \n", {.table = "m", .time = ""}),
            "m f=0.5\nm f=2\nm f=3\n'4\n' is not of type float, as the column 'f' is\n"
            "'5 ' is not of type float, as the column 'f' is\n");
}

TEST(CsvChunksTest, ARecordWithoutItsTimeIsNoPoint) {
  EXPECT_EQ(CsvLines("time,f\n,1\n-,2\n3,3\n", {.table = "m", .nulls = {"-"}}),
            "m f=3 3\nthe time is empty\nthe time is empty\n");
}

TEST(CsvChunksTest, ACarriageReturnIsPartOfAValueUnlessTheLineEndsWithIt) {
  EXPECT_EQ(CsvLines("s\r\na\rb\r\n\"c\"\r\nd\r", {.table = "m", .time = ""}),
            "m s=\"a\rb\"\nm s=\"c\"\nm s=\"d\"\n");
}

TEST(CsvChunksTest, AQuoteThatIsNotClosedDoesNotTakeTheRestOfTheFile) {
  TextInput input("s\n\"" + std::string(20 << 20, 'x'), 1 << 20);
  CsvChunks chunks(input, 1 << 20, {.table = "m", .time = ""});
  EXPECT_EQ(chunks.Next().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CsvChunksTest, TellsWhatItTakesTheColumnsFor) {
  TextInput input("at,host,f,b,s,n:unsigned,none\n1,a,2,true,x,3,\n");
  CsvChunks chunks(input, 1, {.table = "t", .tags = {"host"}, .time = "at"});
  ASSERT_TRUE(chunks.Begin().ok());
  EXPECT_EQ(chunks.ShowColumns(),
            "at:time, host:tag, f:float, b:boolean, s:string, n:unsigned, none:?");
  EXPECT_TRUE(chunks.HasGuessed());
  EXPECT_THAT(All(chunks), testing::SizeIs(1));
}

TEST(CsvChunksTest, AByteOrderMarkIsNoPartOfAName) {
  const std::vector<Chunk> chunks = CutCsv(
      "\xef\xbb\xbf"
      "at,host,f\n1,a,2\n");
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].text, "t\\ 1,host=a f=2 1\n");
  EXPECT_EQ(CutCsv("\xef\xbb\xbf\"at\",\"host\",\"f\"\n1,a,2\n")[0].text, chunks[0].text);
}

TEST(CsvChunksTest, NothingGetsOutOfItsLine) {
  const std::vector<Chunk> chunks = CutCsv("at,host,f\n1,\"a f=6 7\nevil\",2\n2,b,3\n");
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].text, "t\\ 1,host=b f=3 2\n");
  ASSERT_EQ(chunks[0].bad_lines.size(), 1u);
  EXPECT_EQ(chunks[0].bad_lines[0].line, 2);
}

TEST(CsvChunksTest, AHeaderThatIsNoneIsAnError) {
  for (const char* text : {"", "a,,b\n", "time,f\n1,2\n", "host,f\na,1\n", "time,host,f,f\n",
                           "time,host,\"f\ng\"\n", "time,host,f:int\n", "time,host,b:time,f\n"}) {
    TextInput input(text);
    CsvChunks chunks(input, 1, {.table = "t", .tags = {"host"}});
    EXPECT_EQ(chunks.Next().status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace sluice::client
