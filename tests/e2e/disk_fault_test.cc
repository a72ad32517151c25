// A fault of the disk under the real binary: it says so, ends, and has everything that it had
// acknowledged when it is started again.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

int Write(const fixture::ServerProcess& server, int i) {
  auto answer =
      fixture::Fetch(server.http_port(), "POST", "/write?db=demo", fmt::format("m f=1 {}", i));
  return answer ? answer->status : 0;
}

TEST(DiskFaultTest, EndsTheServerAndLosesNothing) {
  fixture::TempDir dir;
  const std::string data = dir.path() + "/data";
  {
    fixture::ServerProcess server(data);
    fixture::Fetch(server.http_port(), "POST", "/api/v3/configure/database", R"({"db":"demo"})");
    for (int i = 0; i < 10; ++i) EXPECT_EQ(Write(server, i), 204);
    server.StopFilesFromGrowing();
    EXPECT_EQ(Write(server, 10), 500);
    EXPECT_EQ(Write(server, 11), 503);
    EXPECT_EQ(fixture::Fetch(server.http_port(), "GET", "/ready")->status, 503);
    EXPECT_EQ(server.WaitForEnd(), 1);
  }
  fixture::ServerProcess server(data);
  auto rows = fixture::Fetch(server.http_port(), "GET",
                             "/api/v3/query_sql?db=demo&q=SELECT+count(*)+AS+n+FROM+m");
  EXPECT_EQ(rows->body, R"([{"n":10}])");
  EXPECT_EQ(Write(server, 10), 204);
  EXPECT_EQ(server.Terminate(), 0);
}

}  // namespace
}  // namespace sluice
