#include "server/auth/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "server/auth/first_admin.h"
#include "server/auth/token.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::auth {
namespace {

constexpr int64_t kNow = 1000;
const std::vector<storage::Grant> kGrants = {{"db", true, false}};

class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() { Open(); }

  void Open() {
    authority_.reset();
    store_.reset();
    store_ = storage::OpenRocksDbStore(dir_.path()).value();
    authority_ = Authority::Open(*store_).value();
  }
  std::string NameOf(const std::optional<std::string>& token, int64_t now_ns = kNow) const {
    auto principal = authority_->Identify({.token = token}, now_ns);
    return principal.ok() ? principal->name() : std::string(principal.status().message());
  }
  absl::StatusOr<std::string> Ensure(const std::string& token, const std::string& file = "") {
    return EnsureFirstAdmin(*authority_, {token, file, dir_.path()}, kNow);
  }

  fixture::TempDir dir_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<Authority> authority_;
};

TEST_F(AuthorityTest, KnowsWhatItCreatedAndNothingElse) {
  CreatedToken created = authority_->Create({.name = "reader", .grants = kGrants}, kNow).value();
  EXPECT_TRUE(IsToken(created.text));
  EXPECT_EQ(NameOf(created.text), "reader");
  EXPECT_EQ(NameOf(std::nullopt), "unauthorized access");
  EXPECT_EQ(NameOf(""), "unauthorized access");
  EXPECT_EQ(NameOf(created.text + "x"), "unauthorized access");
  EXPECT_EQ(NameOf(GenerateToken()), "unauthorized access");
  EXPECT_EQ(authority_->Identify({}, kNow).status().code(), absl::StatusCode::kUnauthenticated);
  Open();
  EXPECT_EQ(NameOf(created.text), "reader");
  EXPECT_EQ(authority_->List(), std::vector<storage::TokenRecord>{created.record});
}

TEST_F(AuthorityTest, ACertificateStandsForTheTokenOfItsName) {
  const NewToken token = {.name = "collector",
                          .grants = kGrants,
                          .certificate_name = "spiffe://example/collector",
                          .max_requests_per_second = 2};
  CreatedToken created = authority_->Create(token, kNow).value();
  EXPECT_EQ(created.text, "");
  const auto name_of = [&](std::vector<std::string> names,
                           std::optional<std::string> text = std::nullopt) {
    auto principal =
        authority_->Identify({.token = text, .certificate_names = std::move(names)}, kNow);
    return principal.ok() ? principal->name() : "";
  };
  EXPECT_EQ(name_of({"other", "spiffe://example/collector"}), "collector");
  EXPECT_EQ(name_of({"collector"}), "");
  EXPECT_EQ(name_of({""}), "");
  EXPECT_EQ(name_of({}), "");
  // A token that is brought goes first, and the hash of nothing is none.
  EXPECT_EQ(name_of({"spiffe://example/collector"}, ""), "");
  EXPECT_EQ(
      authority_
          ->Create({.name = "b", .grants = kGrants, .certificate_name = token.certificate_name},
                   kNow)
          .status()
          .code(),
      absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(authority_->Create({.name = "b", .grants = kGrants, .certificate_name = "a b"}, kNow)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  // What it has brought is not forgotten because another token comes, and a restart keeps it.
  const auto principal = [&] {
    return *authority_->Identify({.certificate_names = {token.certificate_name}}, kNow);
  };
  EXPECT_TRUE(principal().TakeRequest(kNow).ok());
  EXPECT_TRUE(principal().TakeRequest(kNow).ok());
  EXPECT_TRUE(authority_->Create({.name = "b", .grants = kGrants}, kNow).ok());
  EXPECT_FALSE(principal().TakeRequest(kNow).ok());
  Open();
  EXPECT_EQ(authority_->List().back(), created.record);
  EXPECT_EQ(name_of({token.certificate_name}), "collector");
  ASSERT_TRUE(authority_->Delete("collector").ok());
  EXPECT_EQ(name_of({token.certificate_name}), "");
}

TEST_F(AuthorityTest, StoresNoToken) {
  CreatedToken created = authority_->Create({.name = "a", .grants = kGrants}, kNow).value();
  authority_.reset();
  store_.reset();
  std::string found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    if (bytes.str().find(created.text.substr(7)) != std::string::npos) found = entry.path();
  }
  EXPECT_EQ(found, "");
}

TEST_F(AuthorityTest, ExpiryAndDeletionHoldAtOnce) {
  NewToken brief = {.name = "brief", .expiry_ns = 2000, .grants = kGrants};
  std::string text = authority_->Create(brief, kNow)->text;
  EXPECT_EQ(NameOf(text, 1999), "brief");
  EXPECT_EQ(NameOf(text, 2000), "unauthorized access");
  ASSERT_TRUE(authority_->Delete("brief").ok());
  EXPECT_EQ(NameOf(text, 1999), "unauthorized access");
  EXPECT_EQ(authority_->Delete("brief").code(), absl::StatusCode::kNotFound);
  Open();
  EXPECT_EQ(NameOf(text, 1999), "unauthorized access");
}

TEST_F(AuthorityTest, RefusesTokensThatMakeNoSense) {
  auto create = [&](const NewToken& token) {
    return authority_->Create(token, kNow).status().code();
  };
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(create({.name = "", .grants = kGrants}), kInvalid);
  EXPECT_EQ(create({.name = "a b", .grants = kGrants}), kInvalid);
  EXPECT_EQ(create({.name = std::string(65, 'a'), .grants = kGrants}), kInvalid);
  EXPECT_EQ(create({.name = "a"}), kInvalid);
  EXPECT_EQ(create({.name = "a", .admin = true, .grants = kGrants}), kInvalid);
  EXPECT_EQ(create({.name = "a", .grants = {{"-", true, true}}}), kInvalid);
  EXPECT_EQ(create({.name = "a", .grants = {{"db", false, false}}}), kInvalid);
  EXPECT_EQ(create({.name = "a", .expiry_ns = kNow, .grants = kGrants}), kInvalid);
  EXPECT_EQ(create({.name = "a", .grants = {{"*", true, true}}}), absl::StatusCode::kOk);
  EXPECT_EQ(create({.name = "a", .admin = true}), absl::StatusCode::kAlreadyExists);
}

TEST_F(AuthorityTest, WithoutAuthEveryoneMayDoEverything) {
  auto open = Authority::OpenWithoutAuth(*store_).value();
  EXPECT_TRUE(open->Identify({}, kNow)->MayAdminister().ok());
  EXPECT_EQ(open->Identify({.token = "nonsense"}, kNow)->name(), "anonymous");
}

TEST_F(AuthorityTest, MakesAFirstAdminTokenOnce) {
  std::string path = Ensure("").value();
  EXPECT_EQ(path, dir_.path() + "/admin-token");
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::string token;
  std::ifstream(path) >> token;
  EXPECT_EQ(NameOf(token), "_admin");
  EXPECT_TRUE(authority_->Identify({.token = token}, kNow)->MayAdminister().ok());
  Open();
  EXPECT_EQ(Ensure("").value(), "");
  EXPECT_EQ(NameOf(token), "_admin");
}

TEST_F(AuthorityTest, AGivenAdminTokenGoesFirstAndReplacesTheOneBefore) {
  std::string given = GenerateToken();
  std::string next = GenerateToken();
  EXPECT_EQ(Ensure(given).value(), "");
  EXPECT_EQ(NameOf(given), "_admin");
  std::ofstream(dir_.path() + "/secret") << next << "\n";
  EXPECT_EQ(Ensure("", dir_.path() + "/secret").value(), "");
  EXPECT_EQ(NameOf(next), "_admin");
  EXPECT_EQ(NameOf(given), "unauthorized access");
  EXPECT_FALSE(std::filesystem::exists(dir_.path() + "/admin-token"));
}

TEST_F(AuthorityTest, AGivenAdminTokenThatIsNoneIsRefused) {
  EXPECT_EQ(Ensure("letmein").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ensure("", dir_.path() + "/none").status().code(), absl::StatusCode::kInvalidArgument);
  std::ofstream(dir_.path() + "/empty").flush();
  EXPECT_EQ(Ensure("", dir_.path() + "/empty").status().code(), absl::StatusCode::kInvalidArgument);
  std::string reader = authority_->Create({.name = "reader", .grants = kGrants}, kNow)->text;
  EXPECT_EQ(Ensure(reader).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sluice::auth
