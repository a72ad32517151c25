#include "server/tls/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include "tests/fixture/certificate_authority.h"
#include "tests/fixture/shell.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::tls {
namespace {

using testing::HasSubstr;

constexpr std::chrono::milliseconds kPeriod(20);

class CertificatesTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Certificates>> Open() {
    return Certificates::Open(
        {secret_.certificate(), secret_.key(), secret_.ca()},
        [this](const std::string& line) {
          std::lock_guard lock(mutex_);
          log_.push_back(line);
        },
        kPeriod);
  }
  std::vector<std::string> log() {
    std::lock_guard lock(mutex_);
    return log_;
  }
  template <typename Condition>
  bool Soon(Condition condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(kPeriod);
    }
    return false;
  }

  fixture::CertificateAuthority authority_;
  fixture::MountedSecret secret_;

 private:
  std::mutex mutex_;
  std::vector<std::string> log_;
};

TEST_F(CertificatesTest, FollowTheSwapOfAMountedSecret) {
  const auto first = authority_.Issue("a", "DNS:a", 10);
  const auto second = authority_.Issue("b", "DNS:b", 20);
  secret_.Swap(first, authority_.certificate());
  const auto certificates = Open();
  ASSERT_TRUE(certificates.ok()) << certificates.status();
  const auto before = (*certificates)->Now();
  secret_.Swap(second, authority_.certificate());
  ASSERT_TRUE(Soon([&] { return (*certificates)->Now() != before; }));
  const auto after = (*certificates)->Now();
  EXPECT_NE(after->generation, before->generation);
  EXPECT_NE(after->certificate, before->certificate);
  EXPECT_GT(after->expiry_ns, before->expiry_ns);
  EXPECT_EQ((*certificates)->reloads(), 1u);
  EXPECT_EQ((*certificates)->failures(), 0u);
}

TEST_F(CertificatesTest, WhatDoesNotFitLeavesWhatWasThereAndIsToldOnce) {
  const auto pair = authority_.Issue("a", "DNS:a");
  secret_.Swap(pair, authority_.certificate());
  const auto certificates = Open();
  ASSERT_TRUE(certificates.ok());
  const auto before = (*certificates)->Now();
  const auto other = authority_.Issue("b", "DNS:b");
  secret_.Swap({other.certificate, pair.key}, authority_.certificate());
  ASSERT_TRUE(Soon([&] { return (*certificates)->failures() == 1; }));
  std::this_thread::sleep_for(10 * kPeriod);
  EXPECT_EQ((*certificates)->failures(), 1u);
  EXPECT_EQ((*certificates)->Now(), before);
  EXPECT_THAT(log().back(), HasSubstr("is not the key of the certificate"));
  EXPECT_EQ(log().size(), 1u);
  std::filesystem::remove(secret_.certificate());
  ASSERT_TRUE(Soon([&] { return (*certificates)->failures() == 2; }));
  EXPECT_THAT(log().back(), HasSubstr("cannot be read"));
  EXPECT_EQ((*certificates)->Now(), before);
}

TEST_F(CertificatesTest, FilesOfNoUseAreRefusedAndSayWhy) {
  const auto pair = authority_.Issue("a", "DNS:a");
  const auto other = authority_.Issue("b", "DNS:b");
  fixture::TempDir dir;
  const std::string junk = dir.path() + "/junk";
  std::ofstream(junk) << "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n";
  const std::string half = dir.path() + "/half";
  std::ofstream(half) << std::ifstream(pair.certificate).rdbuf() << std::ifstream(junk).rdbuf();
  const std::string locked = dir.path() + "/locked";
  fixture::RunShell("openssl ec -aes256 -passout pass:secret -in " + pair.key + " -out " + locked);
  const auto log = [](const std::string&) {};
  const auto refused = [&](const Files& files) {
    return std::string(Certificates::Open(files, log).status().message());
  };
  EXPECT_THAT(refused({"/nowhere", pair.key}), HasSubstr("/nowhere: cannot be read"));
  EXPECT_THAT(refused({pair.certificate, "/nowhere"}), HasSubstr("/nowhere: cannot be read"));
  EXPECT_THAT(refused({junk, pair.key}), HasSubstr("no certificate in PEM"));
  EXPECT_THAT(refused({half, pair.key}), HasSubstr("a certificate that cannot be read"));
  EXPECT_THAT(refused({pair.certificate, pair.certificate}), HasSubstr("no private key"));
  EXPECT_THAT(refused({pair.certificate, locked}), HasSubstr("without a password"));
  EXPECT_THAT(refused({pair.certificate, other.key}), HasSubstr("is not the key"));
  EXPECT_THAT(refused({pair.certificate, pair.key, junk}), HasSubstr("no certificate in PEM"));
  EXPECT_THAT(refused({dir.path(), pair.key}), HasSubstr("is no file"));
  const std::string pipe = dir.path() + "/pipe";
  fixture::RunShell("mkfifo " + pipe);
  EXPECT_THAT(refused({pair.certificate, pipe}), HasSubstr("is no file"));
  const std::string huge = dir.path() + "/huge";
  fixture::RunShell("truncate -s 3G " + huge);
  EXPECT_THAT(refused({pair.certificate, pair.key, huge}), HasSubstr("is larger than 1 MiB"));
  fixture::RunShell("cd " + dir.path() +
                    " && openssl req -x509 -newkey rsa:512 -nodes -days 1 -subj /CN=weak -keyout "
                    "weak.key -out weak.crt");
  EXPECT_THAT(refused({dir.path() + "/weak.crt", dir.path() + "/weak.key"}),
              HasSubstr("cannot be used: ee key too small"));
  EXPECT_EQ(refused({pair.certificate, pair.key, authority_.certificate()}), "");
}

}  // namespace
}  // namespace sluice::tls
