#include "storage/durable_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/fixture/temp_dir.h"

namespace sluice::storage {
namespace {

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(DurableFileTest, ReplacesWhatIsThereAndSetsTheMode) {
  fixture::TempDir dir;
  const std::string path = dir.path() + "/file";
  std::ofstream(path) << "a longer text that was there before";
  ASSERT_TRUE(WriteDurably(path, "secret\n", 0600).ok());
  EXPECT_EQ(Read(path), "secret\n");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()),
                          std::filesystem::directory_iterator()),
            1);
}

TEST(DurableFileTest, SaysWhyItCannot) {
  fixture::TempDir dir;
  absl::Status status = WriteDurably(dir.path() + "/none/file", "text", 0644);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace sluice::storage
