// What the door itself answers, whatever the service: health, and requests that are no messages.

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/fixture/running_server.h"

namespace sluice::grpc_door {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthServiceTest : public testing::Test {
 protected:
  HealthServiceTest()
      : channel_(grpc::CreateChannel(server_->grpc_address(), grpc::InsecureChannelCredentials())),
        health_(Health::NewStub(channel_)) {}

  int Check(const std::string& service) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    grpc::Status status = health_->Check(&context, request, &response);
    return status.ok() ? static_cast<int>(response.status())
                       : -static_cast<int>(status.error_code());
  }

  std::unique_ptr<fixture::RunningServer> server_ = std::make_unique<fixture::RunningServer>();
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Health::Stub> health_;
};

TEST_F(HealthServiceTest, KnowsItsServices) {
  for (const char* service : {"", "liveness", "sluice.v1.WriteService", "sluice.v1.QueryService",
                              "sluice.v1.AdminService"}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::SERVING) << service;
  }
  EXPECT_EQ(Check("sluice.v1.Other"), -grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthServiceTest, ADrainIsToldToWhoAsksAndToWhoWatches) {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("sluice.v1.WriteService");
  auto watch = health_->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->readiness().Drain();
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check("liveness"), HealthCheckResponse::SERVING);
  for (const char* service : {"", "sluice.v1.WriteService", "sluice.v1.QueryService"}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::NOT_SERVING) << service;
  }
}

TEST(HealthServiceDiskTest, ANearlyFullDiskIsNotReadyForWritesAndServesTheRest) {
  fixture::RunningServer server({.min_free_disk_bytes = uint64_t{1} << 60});
  auto health = Health::NewStub(
      grpc::CreateChannel(server.grpc_address(), grpc::InsecureChannelCredentials()));
  for (auto [service, expected] :
       {std::pair{"sluice.v1.WriteService", HealthCheckResponse::NOT_SERVING},
        {"sluice.v1.QueryService", HealthCheckResponse::SERVING},
        {"", HealthCheckResponse::SERVING}}) {
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    ASSERT_TRUE(health->Check(&context, request, &response).ok());
    EXPECT_EQ(response.status(), expected) << service;
  }
}

TEST_F(HealthServiceTest, AnUnknownServiceCanBeWatched) {
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("other");
  auto watch = health_->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(HealthServiceTest, AnOpenWatchDelaysNoStop) {
  grpc::ClientContext context;
  auto watch = health_->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  const auto start = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(HealthServiceTest, WhatIsNoMessageIsTheClientsMistake) {
  grpc::GenericStub stub(channel_);
  for (const char* method :
       {"/sluice.v1.WriteService/Write", "/sluice.v1.AdminService/ListDatabases",
        "/sluice.v1.AdminService/CreateDatabase", "/sluice.v1.QueryService/Query"}) {
    // A text that is not UTF-8, and a field that ends too early.
    for (const std::string& bytes : {std::string("\x0a\x01\xff"), std::string("\x0a\x7f x")}) {
      if (bytes[1] == '\x01' && std::string(method).ends_with("ListDatabases")) continue;
      grpc::ClientContext context;
      grpc::Slice slice(bytes);
      grpc::ByteBuffer request(&slice, 1);
      grpc::CompletionQueue queue;
      auto call = stub.PrepareCall(&context, method, &queue);
      call->StartCall(nullptr);
      void* tag = nullptr;
      bool ok = false;
      queue.Next(&tag, &ok);
      call->WriteLast(request, grpc::WriteOptions(), nullptr);
      queue.Next(&tag, &ok);
      grpc::Status status;
      call->Finish(&status, nullptr);
      queue.Next(&tag, &ok);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << method;
      EXPECT_THAT(status.error_message(), testing::HasSubstr("could not be parsed")) << method;
      google::rpc::Status details;
      ASSERT_TRUE(details.ParseFromString(status.error_details()));
      bool has_bad_request = false;
      for (const auto& detail : details.details()) {
        has_bad_request |= detail.Is<google::rpc::BadRequest>();
      }
      EXPECT_TRUE(has_bad_request) << method;
      queue.Shutdown();
    }
  }
}

TEST_F(HealthServiceTest, AMethodThatIsNotThereIsStillUnimplemented) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/sluice.v1.WriteService/None", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace sluice::grpc_door
