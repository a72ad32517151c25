#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace sluice::server {
namespace {

std::variant<Config, CheckCommand, Exit> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "sluiced");
  return ParseConfig(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ConfigTest, HasDefaults) {
  Config config = std::get<Config>(Parse({}));
  EXPECT_EQ(config.data_dir, "./data");
  EXPECT_EQ(config.http_listen.port, 8181);
  EXPECT_EQ(config.grpc_listen.port, 8182);
  EXPECT_FALSE(config.without_auth);
}

TEST(ConfigTest, AFlagGoesBeforeTheEnvironment) {
  setenv("SLUICE_DATA_DIR", "/from/environment", 1);
  setenv("SLUICE_HTTP_LISTEN", "127.0.0.1:1", 1);
  setenv("SLUICE_WITHOUT_AUTH", "true", 1);
  Config config = std::get<Config>(Parse({"--http-listen", ":2", "--open-to-network"}));
  EXPECT_EQ(config.data_dir, "/from/environment");
  EXPECT_EQ(config.http_listen.host, "0.0.0.0");
  EXPECT_EQ(config.http_listen.port, 2);
  EXPECT_TRUE(config.without_auth);
  unsetenv("SLUICE_DATA_DIR");
  unsetenv("SLUICE_HTTP_LISTEN");
  unsetenv("SLUICE_WITHOUT_AUTH");
}

TEST(ConfigTest, ABadFlagEndsWithItsReason) {
  for (const char* flag :
       {"--http-listen=x", "--max-body-bytes=1", "--nonsense", "--grpc-listen=h:99999"}) {
    auto parsed = Parse({flag});
    ASSERT_TRUE(std::holds_alternative<Exit>(parsed)) << flag;
    EXPECT_EQ(std::get<Exit>(parsed).code, 2);
    EXPECT_NE(std::get<Exit>(parsed).text, "");
  }
  EXPECT_EQ(std::get<Exit>(Parse({"--help"})).code, 0);
  EXPECT_THAT(std::get<Exit>(Parse({"--help"})).text, testing::HasSubstr("--data-dir"));
}

TEST(ConfigTest, VariablesThatLookLikeOursAreNotIgnoredInSilence) {
  setenv("SLUICE_DATADIR", "x", 1);
  setenv("SLUICE_DATA_DIR", "x", 1);
  setenv("SLUICE_SERVICE_HOST", "10.0.0.1", 1);
  setenv("SLUICE_PORT_8181_TCP_ADDR", "10.0.0.1", 1);
  EXPECT_EQ(std::get<Config>(Parse({})).unknown_variables,
            std::vector<std::string>{"SLUICE_DATADIR"});
  for (const char* name :
       {"SLUICE_DATADIR", "SLUICE_DATA_DIR", "SLUICE_SERVICE_HOST", "SLUICE_PORT_8181_TCP_ADDR"}) {
    unsetenv(name);
  }
}

TEST(ConfigTest, TheFirstAdminTokenIsGivenOneWay) {
  setenv("SLUICE_ADMIN_TOKEN", "sluice_x", 1);
  EXPECT_EQ(std::get<Config>(Parse({})).admin_token, "sluice_x");
  EXPECT_THAT(std::get<Exit>(Parse({"--admin-token-file", "f"})).text,
              testing::HasSubstr("are both given"));
  unsetenv("SLUICE_ADMIN_TOKEN");
  EXPECT_EQ(std::get<Config>(Parse({"--admin-token-file", "f"})).admin_token_file, "f");
}

TEST(ConfigTest, FlagsThatContradictOneAnotherAreRefused) {
  EXPECT_NE(std::get<Exit>(Parse({"--max-columns=2001"})).code, 0);
  EXPECT_EQ(std::get<Config>(Parse({"--cors-origin=https://a", "--cors-origin=https://b"}))
                .cors_origins.size(),
            2u);
}

TEST(ParseAddressTest, TakesHostAndPort) {
  EXPECT_EQ(ParseAddress("[::1]:80")->host, "::1");
  EXPECT_EQ(ParseAddress("localhost:80")->host, "127.0.0.1");
  EXPECT_EQ(ParseAddress("10.0.0.1:0")->port, 0);
  for (const char* text : {"", "80", "a:", "a:b", "a:80x", "a:-1"}) {
    EXPECT_FALSE(ParseAddress(text).ok()) << text;
  }
}

}  // namespace
}  // namespace sluice::server
