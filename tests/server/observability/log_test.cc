#include "server/observability/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

namespace sluice::observability {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class LogTest : public testing::Test {
 protected:
  LogTest() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(out_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", std::move(sink)));
  }
  ~LogTest() override { spdlog::set_default_logger(before_); }

  std::string Take() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }

 private:
  std::ostringstream out_;
  const std::shared_ptr<spdlog::logger> before_;
};

// Whatever is in it, a line is one line, and one object of JSON.
TEST_F(LogTest, NothingForgesALine) {
  const std::array<std::string, 6> hostile = {
      "demo\n[2026-11-26 10:00:00.000] [info] the server is fine",
      "a\r\x1b[2Jb\x07",
      std::string("nul\0nul", 7),
      "\xff\xfe not text \xc3",
      "\xc2\x85next line, \xe2\x80\xa8 separator",
      "quote\" and \\ backslash",
  };
  for (const std::string& text : hostile) {
    const std::array<LogField, 2> fields = {{{"database", text}, {"peer", "10.0.0.1:5"}}};
    SetUpLog(LogFormat::kText);
    Log(LogLevel::kWarning, text, fields);
    spdlog::info("{}", text);
    std::string lines = Take();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
    for (unsigned char c : lines) EXPECT_TRUE(c >= 0x20 || c == '\n') << int{c};
    EXPECT_EQ(lines.find("\xc2\x85"), std::string::npos);
    SetUpLog(LogFormat::kJson);
    Log(LogLevel::kError, text, fields);
    lines = Take();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
    const auto json = nlohmann::json::parse(lines);
    EXPECT_EQ(json["level"], "error");
    EXPECT_EQ(json["peer"], "10.0.0.1:5");
    EXPECT_EQ(json.size(), 5u);
  }
}

TEST_F(LogTest, WhatIsTextComesThroughWhole) {
  const std::string text = "Küche \"n\" \\ 温度 🌡";
  const std::array<LogField, 2> fields = {{{"database", text}, {"empty", ""}}};
  SetUpLog(LogFormat::kJson);
  Log(LogLevel::kInfo, "audit", fields);
  const auto json = nlohmann::json::parse(Take());
  EXPECT_EQ(json["database"], text);
  EXPECT_FALSE(json.contains("empty"));
  EXPECT_THAT(std::string(json["time"]), EndsWith("Z"));
  SetUpLog(LogFormat::kText);
  Log(LogLevel::kInfo, "audit", fields);
  EXPECT_THAT(Take(), HasSubstr(R"([info] audit database="Küche \"n\" \\ 温度 🌡")"));
  spdlog::warn("{}", text);
  EXPECT_THAT(Take(), HasSubstr("[warning] " + text + "\n"));
}

TEST(LogLimitTest, SoManyInAPeriodAndTheOthersAreCounted) {
  LogLimit limit(2, 100);
  EXPECT_EQ(limit.Admit("a", 1000), 0);
  EXPECT_EQ(limit.Admit("a", 1001), 0);
  EXPECT_EQ(limit.Admit("a", 1002), -1);
  EXPECT_EQ(limit.Admit("a", 1099), -1);
  EXPECT_EQ(limit.Admit("b", 1099), 0);
  EXPECT_EQ(limit.Admit("a", 1100), 2);
  EXPECT_EQ(limit.Admit("a", 1101), 0);
  EXPECT_EQ(limit.Admit("a", 1102), -1);
}

}  // namespace
}  // namespace sluice::observability
