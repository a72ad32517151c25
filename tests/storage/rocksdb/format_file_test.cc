#include "storage/rocksdb/format_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(FormatFileTest, IsMadeWhereThereIsNoStore) {
  fixture::TempDir dir;
  std::string data = dir.path() + "/new/data";
  ASSERT_TRUE(CheckOrMakeFormat(data).ok());
  EXPECT_EQ(Read(data + "/FORMAT"), "sluice store format 4\n");
  EXPECT_TRUE(CheckOrMakeFormat(data).ok());
}

TEST(FormatFileTest, ANewerFormatIsRefusedAndNothingIsTouched) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT") << "sluice store format 5\n";
  absl::Status status = CheckOrMakeFormat(dir.path());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr("format 5, and this program reads formats 3 to 4"));
  EXPECT_EQ(Read(dir.path() + "/FORMAT"), "sluice store format 5\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(FormatFileTest, AnOlderFormatThatIsReadIsRaised) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT") << "sluice store format 3\n";
  EXPECT_TRUE(CheckFormat(dir.path()).ok());
  EXPECT_EQ(Read(dir.path() + "/FORMAT"), "sluice store format 3\n");
  EXPECT_TRUE(CheckOrMakeFormat(dir.path()).ok());
  EXPECT_EQ(Read(dir.path() + "/FORMAT"), "sluice store format 3\n");
  EXPECT_TRUE(RaiseFormat(dir.path()).ok());
  EXPECT_EQ(Read(dir.path() + "/FORMAT"), "sluice store format 4\n");
}

// A directory can be opened, and not be read.
TEST(FormatFileTest, AFileThatCannotBeReadIsNoOtherFormat) {
  fixture::TempDir dir;
  fs::create_directories(dir.path() + "/FORMAT");
  const absl::Status status = CheckFormat(dir.path());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("cannot read"));
  EXPECT_EQ(RaiseFormat(dir.path()).code(), absl::StatusCode::kUnavailable);
}

TEST(FormatFileTest, AFormatThatIsTooOldIsRefusedAndSaysWhatToDo) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT") << "sluice store format 2\n";
  absl::Status status = CheckOrMakeFormat(dir.path());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("read the points by a query"));
  EXPECT_EQ(Read(dir.path() + "/FORMAT"), "sluice store format 2\n");
}

TEST(FormatFileTest, AnotherFileOfThatNameIsRefused) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT") << "something else\n";
  EXPECT_EQ(CheckOrMakeFormat(dir.path()).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FormatFileTest, AStoreWithoutTheFileIsRefused) {
  fixture::TempDir dir;
  fs::create_directories(dir.path() + "/rocksdb");
  std::ofstream(dir.path() + "/rocksdb/CURRENT") << "x";
  EXPECT_EQ(CheckOrMakeFormat(dir.path()).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FormatFileTest, ARestoreThatWasBrokenOffIsNoNewStore) {
  fixture::TempDir dir;
  fs::create_directories(dir.path() + "/rocksdb.incomplete");
  EXPECT_EQ(CheckOrMakeFormat(dir.path()).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(fs::exists(dir.path() + "/FORMAT"));
}

TEST(FormatFileTest, ACreationThatACrashCutShortIsFinished) {
  fixture::TempDir dir;
  std::ofstream(dir.path() + "/FORMAT").flush();
  EXPECT_TRUE(CheckOrMakeFormat(dir.path()).ok());
  EXPECT_EQ(Read(dir.path() + "/FORMAT"), "sluice store format 4\n");
}

}  // namespace
}  // namespace sluice::storage
