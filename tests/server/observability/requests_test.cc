#include "server/observability/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::observability {
namespace {

using testing::HasSubstr;
using testing::Not;

class RequestsTest : public testing::Test {
 protected:
  std::shared_ptr<Request> Begin(std::string_view id = "", std::string_view traceparent = "",
                                 const void* call = nullptr) {
    return requests_.Begin(metrics_.HttpRoute("POST", "/write"),
                           {.door = "http",
                            .method = "POST /write",
                            .peer = "10.0.0.1:5",
                            .request_id = id,
                            .traceparent = traceparent},
                           call);
  }

  Metrics metrics_;
  Requests requests_{metrics_, std::chrono::seconds(100)};
};

TEST_F(RequestsTest, IsSeenAsLongAsItLasts) {
  auto first = Begin("a");
  auto second = Begin("b");
  first->LetIn("collector", "demo");
  first->LetIn("another", "other");
  auto seen = requests_.List(10);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].id, "a");
  EXPECT_EQ(seen[0].principal, "collector");
  EXPECT_EQ(seen[0].database, "demo");
  EXPECT_EQ(requests_.List(1).size(), 1u);
  first.reset();
  seen = requests_.List(10);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].id, "b");
}

TEST_F(RequestsTest, AnIdThatIsNoneIsReplaced) {
  EXPECT_EQ(Begin("good-id.1/2")->id(), "good-id.1/2");
  std::vector<std::string> made;
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\nb"),
                                 std::string(129, 'x'), std::string("\xc3\xa4")}) {
    made.push_back(Begin(bad)->id());
    EXPECT_EQ(made.back().size(), 16u);
    EXPECT_NE(made.back(), bad);
  }
  std::sort(made.begin(), made.end());
  EXPECT_EQ(std::unique(made.begin(), made.end()), made.end());
  EXPECT_EQ(Begin(std::string(128, 'x'))->id(), std::string(128, 'x'));
}

TEST_F(RequestsTest, OnlyAWellFormedTraceparentIsTold) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const std::string& text :
       {good, good.substr(1), good + "0", std::string("x") + good.substr(1), std::string()}) {
    auto request = Begin("", text);
    EXPECT_EQ(requests_.List(1).at(0).traceparent, text == good ? good : "") << text;
  }
}

TEST_F(RequestsTest, IsFoundByItsCallUntilItEnds) {
  int call = 0;
  EXPECT_EQ(requests_.FindByCall(&call), nullptr);
  auto request = Begin("", "", &call);
  EXPECT_EQ(requests_.FindByCall(&call), request);
  // The memory of a call is used again at once.
  auto next = Begin("", "", &call);
  request.reset();
  EXPECT_EQ(requests_.FindByCall(&call), next);
  next.reset();
  EXPECT_EQ(requests_.FindByCall(&call), nullptr);
}

TEST_F(RequestsTest, IsCountedOnceByItsEnding) {
  auto request = Begin();
  request->End({.kind = Ending::Kind::kRefused, .code = "503", .reason = "MEMORY_BUDGET"});
  request->End({.kind = Ending::Kind::kDone, .code = "204"});
  request.reset();
  Begin();
  const std::string text = metrics_.Render();
  EXPECT_THAT(text,
              HasSubstr(R"(sluice_http_requests_total{code="503",method="POST",path="/write"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(code="Cancelled",method="POST",path="/write"} 1)"));
  EXPECT_THAT(text, Not(HasSubstr(R"(code="204")")));
  EXPECT_THAT(text,
              HasSubstr(R"(sluice_requests_refused_total{door="http",reason="MEMORY_BUDGET"} 1)"));
}

TEST_F(RequestsTest, ManyThreadsMayBeginAndEnd) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        auto request = Begin();
        request->LetIn("p", "d");
        requests_.List(3);
        request->End({.code = "204"});
      }
    });
  }
  threads.clear();
  EXPECT_EQ(requests_.size(), 0u);
  EXPECT_THAT(metrics_.Render(), HasSubstr(R"(code="204",method="POST",path="/write"} 4000)"));
}

}  // namespace
}  // namespace sluice::observability
