#include "server/gate/gate.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/gate/write_gate.h"
#include "tests/fixture/running_server.h"

namespace sluice::server {
namespace {

using Code = absl::StatusCode;

storage::DatabaseName Name(const std::string& text) {
  return storage::DatabaseName::Parse(text).value();
}

class GateTest : public testing::Test {
 protected:
  GateTest() {
    server_.CreateDatabase("demo");
    writer_ = server_.CreateToken({.name = "w", .grants = {{"demo", false, true}}});
    reader_ = server_.CreateToken({.name = "r", .grants = {{"demo", true, false}}});
    admin_ = server_.CreateToken({.name = "a", .admin = true});
  }

  Code Ask(Act act, const std::optional<std::string>& token, const std::string& database = "demo",
           const absl::Status& parameters = absl::OkStatus()) {
    Claim claim{.act = act, .credential = {.token = token}, .parameters = parameters};
    if (parameters.ok() && act != Act::kAdminister) claim.database = Name(database);
    return server_.parts().gate.Admit(claim).status().code();
  }

  fixture::RunningServer server_{{.max_body_bytes = 1000, .auth = true}};
  std::string writer_;
  std::string reader_;
  std::string admin_;
};

// Contract W-14: of several things that are wrong the first in its order is told.
TEST_F(GateTest, AsksInTheOrderOfTheContract) {
  const absl::Status bad = absl::InvalidArgumentError("a bad parameter");
  for (Act act : {Act::kWrite, Act::kValidate, Act::kRead, Act::kDescribe}) {
    const bool writes = act == Act::kWrite || act == Act::kValidate;
    const std::string& with_right = writes ? writer_ : reader_;
    const std::string& without = writes ? reader_ : writer_;
    EXPECT_EQ(Ask(act, std::nullopt, "none", bad), Code::kUnauthenticated);
    EXPECT_EQ(Ask(act, "sluice_x", "none", bad), Code::kUnauthenticated);
    EXPECT_EQ(Ask(act, without, "none", bad), Code::kInvalidArgument);
    EXPECT_EQ(Ask(act, without, "none"), Code::kNotFound);
    EXPECT_EQ(Ask(act, without), Code::kPermissionDenied);
    EXPECT_EQ(Ask(act, with_right), Code::kOk);
    EXPECT_EQ(Ask(act, admin_), Code::kOk);
  }
  EXPECT_EQ(Ask(Act::kAdminister, writer_), Code::kPermissionDenied);
  EXPECT_EQ(Ask(Act::kAdminister, admin_), Code::kOk);
}

TEST_F(GateTest, WhileItDrainsOnlyWhatChangesNothingIsLetIn) {
  server_.readiness().Drain();
  EXPECT_EQ(Ask(Act::kWrite, reader_), Code::kPermissionDenied);
  EXPECT_EQ(Ask(Act::kWrite, writer_), Code::kUnavailable);
  EXPECT_EQ(Ask(Act::kValidate, writer_), Code::kOk);
  EXPECT_EQ(Ask(Act::kRead, reader_), Code::kOk);
  EXPECT_EQ(Ask(Act::kDescribe, reader_), Code::kUnavailable);
  EXPECT_EQ(Ask(Act::kAdminister, admin_), Code::kUnavailable);
}

// Contract W-89: who keeps a claim asks again.
TEST_F(GateTest, AClaimThatIsKeptIsJudgedByHowThingsAreNow) {
  const Claim claim{.act = Act::kWrite,
                    .credential = {.token = writer_},
                    .parameters = absl::OkStatus(),
                    .database = Name("demo")};
  const Gate& gate = server_.parts().gate;
  EXPECT_TRUE(gate.Admit(claim).ok());
  ASSERT_TRUE(server_.store().DropDatabase(Name("demo")).ok());
  EXPECT_EQ(gate.Admit(claim).status().code(), Code::kNotFound);
  server_.CreateDatabase("demo");
  EXPECT_TRUE(gate.Admit(claim).ok());
  ASSERT_TRUE(server_.authority().Delete("w").ok());
  EXPECT_EQ(gate.Admit(claim).status().code(), Code::kUnauthenticated);
}

TEST_F(GateTest, WhatIsRefusedCountsAgainstTheLimitOfItsToken) {
  const std::string token = server_.CreateToken(
      {.name = "limited", .grants = {{"*", true, true}}, .max_requests_per_second = 3});
  const auto code = [&](const absl::Status& parameters) {
    return server_.parts()
        .gate
        .Admit({.act = Act::kRead,
                .credential = {.token = token},
                .parameters = parameters,
                .database = storage::DatabaseName::Parse("none").value()})
        .status()
        .code();
  };
  EXPECT_EQ(code(absl::OkStatus()), Code::kNotFound);
  EXPECT_EQ(code(absl::InvalidArgumentError("")), Code::kInvalidArgument);
  EXPECT_EQ(code(absl::InvalidArgumentError("")), Code::kInvalidArgument);
  EXPECT_EQ(code(absl::OkStatus()), Code::kUnavailable);
}

TEST_F(GateTest, ABodyIsTakenUpToItsLimitAndWhileThereIsMemory) {
  WriteGate gate(server_.parts(), "test");
  const Claim claim{.act = Act::kWrite,
                    .credential = {.token = writer_},
                    .parameters = absl::OkStatus(),
                    .database = Name("demo")};
  absl::StatusOr<Pass> pass = gate.Admit(claim, "10.0.0.1:5");
  ASSERT_TRUE(pass.ok());
  EXPECT_EQ(pass->origin, (ingest::Origin{"test", "w", "10.0.0.1:5"}));
  EXPECT_EQ(gate.TakeBody(1001, 1000, *pass).code(), Code::kResourceExhausted);
  EXPECT_TRUE(gate.TakeBody(1000, 1000, *pass).ok());
  auto memory = gate.Reserve({.token = writer_}, 1000);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(server_.budget().used_bytes(), 1000u);
  MemoryBudget::Share others(server_.budget());
  ASSERT_TRUE(others.Grow(server_.budget().max_bytes() - 1000).ok());
  EXPECT_EQ(gate.Reserve({.token = writer_}, 1).status().code(), Code::kUnavailable);
  // Who has no token is not told that.
  EXPECT_EQ(gate.Reserve({.token = "sluice_nonsense"}, 1).status().code(), Code::kUnauthenticated);
  others.Clear();
  memory = absl::CancelledError();
  EXPECT_EQ(server_.budget().used_bytes(), 0u);
}

}  // namespace
}  // namespace sluice::server
