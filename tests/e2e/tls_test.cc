// The real binary over TLS: certificates that change, clients that bring some, and what is refused.

#include <gmock/gmock.h>
#include <grpc/grpc_security.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <vector>

#include "client/client.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "tests/fixture/certificate_authority.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/shell.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using fixture::RunShell;
using testing::HasSubstr;
using testing::Not;

constexpr char kServerNames[] = "DNS:localhost,IP:127.0.0.1";
constexpr char kQuiet[] = "curl -sS --max-time 10 ";

class TlsTest : public testing::Test {
 protected:
  TlsTest() { secret_.Swap(authority_.Issue("first", kServerNames), authority_.certificate()); }

  std::vector<std::string> Flags(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> flags = {"--tls-cert-file=" + secret_.certificate(),
                                      "--tls-key-file=" + secret_.key()};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }
  std::string ClientCa() const { return "--tls-client-ca-file=" + secret_.ca(); }
  client::Tls TlsOf(const fixture::CertificateAuthority::Pair& pair = {}) const {
    return {.files = {.root_certificates = authority_.certificate(),
                      .certificate_chain = pair.certificate,
                      .private_key = pair.key}};
  }
  std::unique_ptr<client::Client> Connect(const fixture::ServerProcess& server,
                                          const client::Tls& tls, const std::string& token = "") {
    return client::Client::Connect(server.grpc_address(),
                                   {.token = token, .tls = tls, .wait_for_server = false});
  }
  // Who the server takes a client for, over gRPC; or the error's code.
  std::string NameOf(const fixture::ServerProcess& server, const client::Tls& tls) {
    const auto info = Connect(server, tls)->GetServerInfo();
    return info.ok() ? info->principal : absl::StatusCodeToString(info.status().code());
  }
  static std::string UrlOf(const fixture::ServerProcess& server, const std::string& path) {
    return "https://localhost:" + std::to_string(server.http_port()) + path;
  }
  std::string Curl(const std::string& arguments,
                   const fixture::CertificateAuthority::Pair& pair = {}) const {
    std::string command = kQuiet + ("--cacert " + authority_.certificate());
    if (!pair.key.empty()) command += " --cert " + pair.certificate + " --key " + pair.key;
    return RunShell(command + " " + arguments);
  }
  // The common name that a port shows to who connects now.
  static std::string SubjectAt(int port) {
    return RunShell("echo | openssl s_client -connect 127.0.0.1:" + std::to_string(port) +
                    " -alpn h2,http/1.1 2>/dev/null | openssl x509 -noout -subject");
  }

  fixture::CertificateAuthority authority_;
  fixture::MountedSecret secret_;
  fixture::TempDir dir_;
  const std::string data_ = dir_.path() + "/data";
};

int PortOf(const std::string& address) { return std::stoi(address.substr(address.rfind(':') + 1)); }

TEST_F(TlsTest, BothDoorsSpeakItAndPlainTextIsNotAnswered) {
  const fixture::ServerProcess server(data_, Flags());
  EXPECT_THAT(Curl(UrlOf(server, "/health")), HasSubstr("pass"));
  EXPECT_THAT(Curl("--http1.0 " + UrlOf(server, "/metrics")), HasSubstr("sluice_ready 1"));
  EXPECT_EQ(NameOf(server, TlsOf()), "anonymous");
  EXPECT_THAT(
      RunShell(kQuiet + ("http://127.0.0.1:" + std::to_string(server.http_port())) + "/health"),
      Not(HasSubstr("pass")));
  const auto plain =
      client::Client::Connect(server.grpc_address(), {.wait_for_server = false})->GetServerInfo();
  EXPECT_EQ(plain.status().code(), absl::StatusCode::kUnavailable);
}

// gRPC has something to say of each handshake that fails.
TEST_F(TlsTest, WhoeverDoesNotSpeakItFillsNoLog) {
  std::vector<std::string> flags = Flags();
  flags.push_back("--log-format=json");
  const fixture::ServerProcess server(data_, flags);
  const std::string port = std::to_string(PortOf(server.grpc_address()));
  RunShell(
      "for i in $(seq 60); do echo GARBAGE-GARBAGE-GARBAGE | timeout 5 bash -c "
      "'cat > /dev/tcp/127.0.0.1/" +
      port + "'; done");
  EXPECT_EQ(NameOf(server, TlsOf()), "anonymous");
  std::ifstream log(data_ + ".log");
  int of_grpc = 0;
  for (std::string line; std::getline(log, line);) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    if (line.find("gRPC: ") != std::string::npos) ++of_grpc;
  }
  EXPECT_GE(of_grpc, 1);
  EXPECT_LE(of_grpc, 15);
}

// What old and weak clients offer, at both doors.
TEST_F(TlsTest, NothingBelowVersion12AndNoCipherWithoutForwardSecrecy) {
  fixture::ServerProcess server(data_, Flags());
  for (const int port : {int{server.http_port()}, PortOf(server.grpc_address())}) {
    const auto reached = [&](const std::string& offer) {
      // Levels of security below the usual one, so that it is the server that refuses.
      return RunShell("echo | openssl s_client -connect 127.0.0.1:" + std::to_string(port) +
                      " -alpn h2,http/1.1 " + offer + " 2>&1 | grep -aE 'New, TLS|Cipher is'");
    };
    EXPECT_THAT(reached("-tls1_3"), HasSubstr("TLSv1.3"));
    EXPECT_THAT(reached("-tls1_2 -cipher ECDHE"), HasSubstr("ECDHE"));
    for (const char* offer :
         {"-tls1_1 -cipher ALL:@SECLEVEL=0", "-tls1 -cipher ALL:@SECLEVEL=0",
          "-tls1_2 -cipher AES128-GCM-SHA256:@SECLEVEL=0", "-tls1_2 -cipher AES256-SHA:@SECLEVEL=0",
          "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0",
          "-tls1_2 -cipher NULL:aNULL:@SECLEVEL=0"}) {
      EXPECT_THAT(reached(offer), Not(HasSubstr("TLSv1"))) << port << " " << offer;
    }
  }
}

TEST_F(TlsTest, CertificatesChangeUnderLoadWithoutAFailedCall) {
  fixture::ServerProcess server(data_, Flags());
  ASSERT_TRUE(Connect(server, TlsOf())->CreateDatabase("demo").ok());
  std::atomic<bool> stop = false;
  std::atomic<int> calls = 0;
  std::atomic<int> failed = 0;
  std::vector<std::jthread> load;
  load.emplace_back([&] {
    // One connection that lasts.
    const auto client = Connect(server, TlsOf());
    while (!stop) {
      ++calls;
      if (!client->Write("demo", "m f=1").ok()) ++failed;
    }
  });
  load.emplace_back([&] {
    while (!stop) {
      ++calls;
      // A new one for each.
      if (!Connect(server, TlsOf())->Write("demo", "m f=1").ok()) ++failed;
    }
  });
  load.emplace_back([&] {
    while (!stop) {
      ++calls;
      const std::string written = Curl("-o /dev/null -w '%{http_code}' " +
                                       UrlOf(server, "/api/v2/write?bucket=demo") + " -d 'm f=2'");
      if (written != "204") ++failed;
    }
  });
  std::string shown;
  for (const std::string name : {"second", "third", "fourth"}) {
    secret_.Swap(authority_.Issue(name, kServerNames), authority_.certificate());
    for (const int port : {int{server.http_port()}, PortOf(server.grpc_address())}) {
      for (int i = 0; i < 100; ++i) {
        shown = SubjectAt(port);
        if (shown.find(name) != std::string::npos) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      // Within five seconds and the time of the calls.
      EXPECT_THAT(shown, HasSubstr(name)) << port;
      // And from then on.
      EXPECT_THAT(SubjectAt(port), HasSubstr(name)) << port;
    }
  }
  stop = true;
  load.clear();
  EXPECT_EQ(failed, 0) << "of " << calls;
  EXPECT_GT(calls, 30);
}

TEST_F(TlsTest, AClientIsWhoItsCertificateSays) {
  const auto admin = authority_.Issue("ops", "URI:spiffe://example/ops");
  const auto collector = authority_.Issue("collector", "");
  const auto dns = authority_.Issue("x", "DNS:writer.example");
  const auto stranger = authority_.Issue("stranger", "");
  fixture::CertificateAuthority others("others");
  const auto foreign = others.Issue("collector", "");
  std::string token;
  fixture::ServerProcess server(data_, Flags({ClientCa()}), fixture::ServerProcess::Auth::kTokens);
  std::ifstream(data_ + "/admin-token") >> token;
  const auto bootstrap = Connect(server, TlsOf(stranger), token);
  ASSERT_TRUE(bootstrap->CreateDatabase("demo").ok());
  ASSERT_TRUE(
      bootstrap
          ->CreateToken({.name = "ops", .admin = true, .certificate_name = "spiffe://example/ops"})
          .ok());
  const auto created = bootstrap->CreateToken({.name = "collector",
                                               .permissions = {{"demo", false, true}},
                                               .certificate_name = "collector"});
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->secret, "");
  ASSERT_TRUE(bootstrap
                  ->CreateToken({.name = "by-dns",
                                 .permissions = {{"demo", true, false}},
                                 .certificate_name = "writer.example"})
                  .ok());
  EXPECT_EQ(NameOf(server, TlsOf(admin)), "ops");
  EXPECT_EQ(NameOf(server, TlsOf(collector)), "collector");
  EXPECT_EQ(NameOf(server, TlsOf(dns)), "by-dns");
  EXPECT_EQ(NameOf(server, TlsOf(stranger)), "");
  EXPECT_EQ(NameOf(server, TlsOf(foreign)), "UNAVAILABLE");
  EXPECT_EQ(NameOf(server, TlsOf()), "UNAVAILABLE");
  // A token that is wrong is wrong, whatever the certificate.
  EXPECT_EQ(Connect(server, TlsOf(admin), token + "x")->ListDatabases().status().code(),
            absl::StatusCode::kUnauthenticated);
  // The other door is of the same opinion.
  const auto write = [&](const fixture::CertificateAuthority::Pair& pair,
                         const std::string& header = "") {
    return Curl("-o /dev/null -w '%{http_code}' " + header + " " +
                    UrlOf(server, "/api/v2/write?bucket=demo") + " -d 'm f=1'",
                pair);
  };
  EXPECT_EQ(write(collector), "204");
  EXPECT_EQ(write(admin), "204");
  EXPECT_EQ(write(dns), "401");
  EXPECT_EQ(write(stranger), "401");
  EXPECT_EQ(write(stranger, "-H 'Authorization: Bearer " + token + "'"), "204");
  EXPECT_EQ(write(collector, "-H 'Authorization: Bearer " + token + "x'"), "401");
  EXPECT_THAT(write(foreign), Not(HasSubstr("204")));
  EXPECT_THAT(write({}), Not(HasSubstr("204")));
  // What is deleted is refused at once, on a connection that is open too.
  const auto open = Connect(server, TlsOf(collector));
  EXPECT_TRUE(open->Write("demo", "m f=1").ok());
  ASSERT_TRUE(bootstrap->DeleteToken("collector").ok());
  EXPECT_EQ(open->Write("demo", "m f=1").status().code(), absl::StatusCode::kUnauthenticated);
}

// gRPC resumes a session without asking for the certificate again.
TEST_F(TlsTest, AResumedSessionIsNoWayAroundTheAuthorities) {
  const auto pair = authority_.Issue("ops", "");
  std::string token;
  fixture::ServerProcess server(data_, Flags({ClientCa()}), fixture::ServerProcess::Auth::kTokens);
  std::ifstream(data_ + "/admin-token") >> token;
  ASSERT_TRUE(Connect(server, TlsOf(pair), token)
                  ->CreateToken({.name = "ops", .admin = true, .certificate_name = "ops"})
                  .ok());
  grpc_ssl_session_cache* const cache = grpc_ssl_session_cache_create_lru(4);
  const grpc_arg cached = grpc_ssl_session_cache_create_channel_arg(cache);
  const auto read = [](const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  const auto call = [&] {
    grpc::ChannelArguments arguments;
    arguments.SetPointerWithVtable(cached.key, cached.value.pointer.p, cached.value.pointer.vtable);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(
        server.grpc_address(),
        grpc::SslCredentials({.pem_root_certs = read(authority_.certificate()),
                              .pem_private_key = read(pair.key),
                              .pem_cert_chain = read(pair.certificate)}),
        arguments);
    grpc::ClientContext context;
    v1::ListTokensResponse response;
    return v1::AdminService::NewStub(channel)->ListTokens(&context, {}, &response).error_code();
  };
  EXPECT_EQ(call(), grpc::StatusCode::OK);
  EXPECT_EQ(call(), grpc::StatusCode::OK);
  fixture::CertificateAuthority others("others");
  secret_.Swap(authority_.Issue("second", kServerNames), others.certificate());
  for (int i = 0; i < 100 && call() == grpc::StatusCode::OK; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  for (int i = 0; i < 5; ++i) EXPECT_NE(call(), grpc::StatusCode::OK);
  grpc_ssl_session_cache_destroy(cache);
}

TEST_F(TlsTest, ACertificateMayBeOptionalAndThenATokenSays) {
  const auto collector = authority_.Issue("collector", "");
  fixture::CertificateAuthority others("others");
  fixture::ServerProcess server(data_, Flags({ClientCa(), "--tls-client-cert-optional"}),
                                fixture::ServerProcess::Auth::kTokens);
  std::string token;
  std::ifstream(data_ + "/admin-token") >> token;
  EXPECT_TRUE(Connect(server, TlsOf(), token)->CreateDatabase("demo").ok());
  EXPECT_TRUE(Connect(server, TlsOf(collector), token)->ListDatabases().ok());
  EXPECT_EQ(NameOf(server, TlsOf(others.Issue("collector", ""))), "UNAVAILABLE");
  EXPECT_EQ(Curl("-o /dev/null -w '%{http_code}' -H 'Authorization: Bearer " + token + "' " +
                 UrlOf(server, "/api/v2/write?bucket=demo") + " -d 'm f=1'"),
            "204");
}

TEST_F(TlsTest, ProbesAndMetricsHaveAPortOfTheirOwn) {
  fixture::ServerProcess server(data_, Flags({ClientCa(), "--admin-listen=127.0.0.1:0"}));
  std::ifstream log(data_ + ".log");
  std::string line;
  std::string address;
  while (std::getline(log, line)) {
    const size_t at = line.find("probes and metrics on ");
    if (at != std::string::npos) address = line.substr(at + 22, line.find(',', at) - at - 22);
  }
  EXPECT_THAT(RunShell(kQuiet + ("http://" + address) + "/ready"), HasSubstr("ready"));
  EXPECT_THAT(RunShell(kQuiet + ("http://" + address) + "/metrics"),
              HasSubstr("sluice_tls_certificate_expiry_timestamp_seconds 1"));
  EXPECT_THAT(RunShell(kQuiet + ("-o /dev/null -w '%{http_code}' http://" + address) +
                       "/api/v2/write?bucket=demo -d 'm f=1'"),
              HasSubstr("404"));
  const auto client = authority_.Issue("client", "");
  EXPECT_THAT(Curl("-o /dev/null -w '%{http_code}' " + UrlOf(server, "/metrics"), client),
              HasSubstr("404"));
}

TEST_F(TlsTest, TheCommandLineSpeaksItAndShowsNoToken) {
  const auto pair = authority_.Issue("ops", "");
  fixture::ServerProcess server(data_, Flags({ClientCa()}));
  const std::string sluice = "client/cli/sluice --server " + server.grpc_address() + " --ca-file " +
                             authority_.certificate();
  const std::string own = " --cert-file " + pair.certificate + " --key-file " + pair.key;
  EXPECT_THAT(RunShell(sluice + own + " database create demo"), HasSubstr("demo"));
  EXPECT_THAT(RunShell("echo 'm f=1' | " + sluice + own + " write demo"),
              HasSubstr("1 points ingested"));
  EXPECT_THAT(RunShell("SLUICE_CERT_FILE=" + pair.certificate + " SLUICE_KEY_FILE=" + pair.key +
                       " " + sluice + " query demo 'SELECT f FROM m'"),
              HasSubstr("1"));
  int code = 0;
  EXPECT_THAT(RunShell(sluice + " --cert-file " + pair.certificate + " info", &code),
              HasSubstr("a certificate and its key go together"));
  EXPECT_EQ(code, 1);
  EXPECT_THAT(RunShell(sluice + " --key-file /nowhere info"), HasSubstr("/nowhere"));
  // While it waits for its input, others look at its arguments.
  EXPECT_THAT(
      RunShell("(sleep 2; echo 'm f=1') | " + sluice + own +
               " --token secret-text write demo & sleep 1; ps -C sluice -o args=; "
               "wait"),
      testing::AllOf(HasSubstr("--token xxxxxxxxxxx write demo"), Not(HasSubstr("secret-text"))));
}

TEST_F(TlsTest, WhoeverCouldConnectUnaskedIsNotLetIn) {
  const auto refused = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--data-dir", data_});
    return fixture::RunServerToItsEnd(flags);
  };
  for (const char* where : {"--http-listen=0.0.0.0:0", "--grpc-listen=[::]:0"}) {
    const auto [code, text] = refused({"--without-auth", where});
    EXPECT_EQ(code, 2);
    EXPECT_THAT(text, HasSubstr("--open-to-network"));
  }
  EXPECT_EQ(refused({"--without-auth", "--http-listen=0.0.0.0:0", Flags()[0], Flags()[1],
                     ClientCa(), "--tls-client-cert-optional"})
                .first,
            2);
  EXPECT_EQ(refused({Flags()[0]}).first, 2);
  EXPECT_EQ(refused({ClientCa()}).first, 2);
  const auto [code, text] = refused({"--tls-cert-file=" + secret_.key(), Flags()[1]});
  EXPECT_EQ(code, 1);
  EXPECT_THAT(text, HasSubstr("has no certificate in PEM"));
}

}  // namespace
}  // namespace sluice
