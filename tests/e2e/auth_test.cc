// The real binary with tokens: where the first one comes from, and that it works.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "client/client.h"
#include "server/auth/token.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

std::unique_ptr<client::Client> Connect(const fixture::ServerProcess& server,
                                        const std::string& token) {
  return client::Client::Connect(server.grpc_address(), {.token = token});
}

class AuthTest : public testing::Test {
 protected:
  fixture::TempDir dir_;
  const std::string data_ = dir_.path() + "/data";
};

TEST_F(AuthTest, TheServerMakesTheFirstAdminTokenAndKeepsItAcrossRestarts) {
  std::string token;
  {
    fixture::ServerProcess server(data_, {}, fixture::ServerProcess::Auth::kTokens);
    std::ifstream(data_ + "/admin-token") >> token;
    struct stat info {};
    ASSERT_EQ(stat((data_ + "/admin-token").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_TRUE(Connect(server, token)->CreateDatabase("demo").ok());
    EXPECT_EQ(Connect(server, "")->ListDatabases().status().code(),
              absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(server.Terminate(), 0);
  }
  fixture::ServerProcess server(data_, {}, fixture::ServerProcess::Auth::kTokens);
  EXPECT_EQ(Connect(server, token)->ListDatabases()->size(), 1u);
}

TEST_F(AuthTest, TheFirstAdminTokenCanBeGiven) {
  const std::string token = auth::GenerateToken();
  const std::string file = dir_.path() + "/secret";
  std::ofstream(file) << token << "\n";
  fixture::ServerProcess server(data_, {"--admin-token-file", file},
                                fixture::ServerProcess::Auth::kTokens);
  EXPECT_TRUE(Connect(server, token)->ListDatabases().ok());
  EXPECT_FALSE(std::filesystem::exists(data_ + "/admin-token"));
}

TEST_F(AuthTest, AGivenTokenThatIsNoneIsRefused) {
  const std::string file = dir_.path() + "/secret";
  std::ofstream(file) << "letmein\n";
  auto [code, text] =
      fixture::RunServerToItsEnd({"--data-dir", data_, "--http-listen", "127.0.0.1:0",
                                  "--grpc-listen", "127.0.0.1:0", "--admin-token-file", file});
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, testing::HasSubstr("`sluice token generate` makes one"));
}

}  // namespace
}  // namespace sluice
