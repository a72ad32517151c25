// What Client and Writer have in common: tokens that rotate, and TLS.

#include "client/channel.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/client.h"
#include "client/writer.h"
#include "sluice/v1/server.grpc.pb.h"
#include "tests/fixture/running_server.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::client {
namespace {

using testing::ElementsAre;

TEST(CurrentTokenTest, AsksTheSourceOnceAndAgainWhenItWasRefused) {
  std::vector<absl::StatusOr<std::string>> answers = {
      std::string("a"), std::string("a"), absl::UnavailableError("away"), std::string("b")};
  size_t asked = 0;
  CurrentToken token("not this", [&] { return answers[asked++]; });
  EXPECT_EQ(*token.Get(), "a");
  EXPECT_EQ(*token.Get(), "a");
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(*token.Renew("a"), false);
  EXPECT_EQ(token.Renew("a").status().message(), "away");
  EXPECT_EQ(*token.Renew("a"), true);
  EXPECT_EQ(*token.Get(), "b");
  // Somebody else has seen to it already.
  EXPECT_EQ(*token.Renew("a"), true);
  EXPECT_EQ(asked, 4u);
  CurrentToken fixed("t", nullptr);
  EXPECT_EQ(*fixed.Get(), "t");
  EXPECT_EQ(*fixed.Renew("t"), false);
}

TEST(CurrentTokenTest, WhatGrpcWouldNotBearIsAnError) {
  CurrentToken token("line end\n", nullptr);
  EXPECT_EQ(token.Get().status().code(), absl::StatusCode::kInvalidArgument);
}

class RotatingTokenTest : public testing::Test {
 protected:
  RotatingTokenTest() { server_.CreateDatabase("demo"); }
  // One that is not valid, and then one that is.
  TokenSource Source() {
    return [this]() -> absl::StatusOr<std::string> { return asked_++ == 0 ? "old" : token_; };
  }

  fixture::RunningServer server_{{.auth = true}};
  const std::string token_ = server_.CreateToken({.name = "w", .grants = {{"demo", true, true}}});
  std::atomic<int> asked_ = 0;
};

TEST_F(RotatingTokenTest, ACallIsMadeAgainWithTheNewOne) {
  auto client = Client::Connect(server_.grpc_address(), {.token_source = Source()});
  EXPECT_TRUE(client->Write("demo", "m f=1 1").ok());
  EXPECT_TRUE(client->Write("demo", "m f=1 2").ok());
  EXPECT_EQ(asked_, 2);
}

TEST_F(RotatingTokenTest, AWriterGoesOnWithTheNewOne) {
  Writer writer(server_.grpc_address(), {.database = "demo", .token_source = Source()});
  ASSERT_TRUE(writer.AddLines("m f=1 1").ok());
  EXPECT_EQ(writer.Close(absl::Seconds(30)).written, 1);
  EXPECT_EQ(asked_, 2);
}

TEST_F(RotatingTokenTest, ATokenThatStaysWrongIsFatalToAWriter) {
  Writer writer(server_.grpc_address(), {.database = "demo", .token_source = [] {
                                           return absl::StatusOr<std::string>("wrong");
                                         }});
  ASSERT_TRUE(writer.AddLines("m f=1 1").ok());
  EXPECT_EQ(writer.Flush(absl::Seconds(30)).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(writer.Close(absl::Seconds(30)).dropped, 1);
}

TEST(TokenFromFileTest, ReadsTheFileEachTime) {
  fixture::TempDir dir;
  const TokenSource source = TokenFromFile(dir.path() + "/token");
  EXPECT_EQ(source().status().code(), absl::StatusCode::kNotFound);
  std::ofstream(dir.path() + "/token") << " first\n";
  EXPECT_EQ(*source(), "first");
  std::ofstream(dir.path() + "/token") << "second";
  EXPECT_EQ(*source(), "second");
}

// A server of one call behind TLS that wants to know its clients.
class TlsTest : public testing::Test, private v1::ServerService::Service {
 protected:
  TlsTest() {
    for (const char* name : {"server", "client"}) {
      const std::string command =
          "cd " + dir_.path() +
          " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 " +
          "-nodes -days 1 -subj /CN=" + name + " -addext subjectAltName=DNS:" + name + " -keyout " +
          name + ".key -out " + name + ".crt 2>/dev/null";
      EXPECT_EQ(std::system(command.c_str()), 0);
    }
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = Read("client.crt");
    options.pem_key_cert_pairs.push_back({Read("server.key"), Read("server.crt")});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~TlsTest() override { server_->Shutdown(); }

  std::string Read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(dir_.path() + "/" + name).rdbuf();
    return text.str();
  }
  absl::Status Call(std::optional<Tls> tls) {
    return Client::Connect("127.0.0.1:" + std::to_string(port_),
                           {.tls = std::move(tls), .wait_for_server = false})
        ->GetServerInfo()
        .status();
  }

  fixture::TempDir dir_;

 private:
  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse*) override {
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(TlsTest, BothSidesAreWhoTheySayTheyAre) {
  const Tls good = {.root_certificates = Read("server.crt"),
                    .certificate_chain = Read("client.crt"),
                    .private_key = Read("client.key"),
                    .server_name = "server"};
  EXPECT_TRUE(Call(good).ok()) << Call(good);
  EXPECT_EQ(Call(std::nullopt).code(), absl::StatusCode::kUnavailable);
  Tls other_server = good;
  other_server.root_certificates = Read("client.crt");
  EXPECT_EQ(Call(other_server).code(), absl::StatusCode::kUnavailable);
  Tls other_name = good;
  other_name.server_name = "another";
  EXPECT_EQ(Call(other_name).code(), absl::StatusCode::kUnavailable);
  Tls nobody = good;
  nobody.certificate_chain.clear();
  nobody.private_key.clear();
  EXPECT_EQ(Call(nobody).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice::client
