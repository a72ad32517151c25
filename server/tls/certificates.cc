#include "server/tls/certificates.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>

#include <ctime>
#include <exception>
#include <fstream>
#include <iterator>
#include <utility>

namespace sluice::tls {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

template <typename T, void (*kFree)(T*)>
struct Freed {
  void operator()(T* object) const { kFree(object); }
};
void FreeBio(BIO* bio) { BIO_free(bio); }
using Bio = std::unique_ptr<BIO, Freed<BIO, FreeBio>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

absl::Status Wrong(const std::string& file, std::string_view what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(fmt::format("{}: {}", file, what));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Wrong(path, "cannot be read");
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) return Wrong(path, "cannot be read");
  if (text.size() > kMaxFileBytes) return Wrong(path, "is larger than 1 MiB");
  return text;
}

Bio Open(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// The first certificate of a file; all others have to be some too.
absl::StatusOr<Certificate> FirstCertificate(const std::string& path, const std::string& text) {
  const Bio bio = Open(text);
  Certificate first;
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    if (first == nullptr) first = std::move(next);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (first == nullptr) return Wrong(path, "has no certificate in PEM");
  if (!at_end) return Wrong(path, "has a certificate that cannot be read");
  return first;
}

absl::StatusOr<int64_t> ExpiryNs(const std::string& path, const X509& certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &time) != 1) {
    return Wrong(path, "has a certificate whose end cannot be read");
  }
  return int64_t{timegm(&time)} * 1'000'000'000;
}

absl::StatusOr<Identity> Read(const Files& files) {
  Identity identity;
  for (auto [path, into] : {std::pair{&files.certificate, &identity.certificate},
                            {&files.key, &identity.key},
                            {&files.client_ca, &identity.client_ca}}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> text = ReadFile(*path);
    if (!text.ok()) return text.status();
    *into = *std::move(text);
  }
  return identity;
}

// Looks whether what was read is of use, and when it ends.
absl::Status Check(const Files& files, Identity& identity) {
  const absl::StatusOr<Certificate> certificate =
      FirstCertificate(files.certificate, identity.certificate);
  if (!certificate.ok()) return certificate.status();
  // Nobody is there who could be asked for the key's password.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const Key key(PEM_read_bio_PrivateKey(Open(identity.key).get(), nullptr, no_password, nullptr));
  if (key == nullptr) return Wrong(files.key, "has no private key in PEM without a password");
  if (X509_check_private_key(certificate->get(), key.get()) != 1) {
    return Wrong(files.key, "is not the key of the certificate in " + files.certificate);
  }
  if (!files.client_ca.empty()) {
    const absl::Status authority = FirstCertificate(files.client_ca, identity.client_ca).status();
    if (!authority.ok()) return authority;
  }
  const absl::StatusOr<int64_t> expiry = ExpiryNs(files.certificate, **certificate);
  if (!expiry.ok()) return expiry.status();
  identity.expiry_ns = *expiry;
  return absl::OkStatus();
}

std::string Day(int64_t time_ns) {
  const std::time_t seconds = time_ns / 1'000'000'000;
  std::tm time{};
  gmtime_r(&seconds, &time);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &time)};
}

}  // namespace

Certificates::Certificates(Files files, std::function<void(const std::string& line)> log)
    : files_(std::move(files)), log_(std::move(log)) {}

absl::StatusOr<std::unique_ptr<Certificates>> Certificates::Open(
    const Files& files, std::function<void(const std::string& line)> log,
    std::chrono::milliseconds period) {
  absl::StatusOr<Identity> identity = Read(files);
  if (!identity.ok()) return identity.status();
  const absl::Status checked = Check(files, *identity);
  if (!checked.ok()) return checked;
  std::unique_ptr<Certificates> certificates(new Certificates(files, std::move(log)));
  certificates->now_ = std::make_shared<const Identity>(*std::move(identity));
  certificates->watch_ =
      std::thread([self = certificates.get(), period] { self->Watch(period); });
  pthread_setname_np(certificates->watch_.native_handle(), "certificates");
  return certificates;
}

Certificates::~Certificates() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (watch_.joinable()) watch_.join();
}

std::shared_ptr<const Identity> Certificates::Now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

void Certificates::Watch(std::chrono::milliseconds period) {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, period, [this] { return stopping_; })) {
    lock.unlock();
    try {
      Look();
    } catch (const std::exception&) {
      // For want of memory; what was there stays.
      ++failures_;
    }
    lock.lock();
  }
}

// A swap may come between two files, so what is wrong is told when it is still so.
void Certificates::Complain(std::string what) {
  if (what != complaint_) {
    complaint_ = std::move(what);
    told_ = false;
  } else if (!told_) {
    told_ = true;
    ++failures_;
    log_("the certificate stays as it was: " + complaint_);
  }
}

void Certificates::Look() {
  const std::shared_ptr<const Identity> before = Now();
  absl::StatusOr<Identity> read = Read(files_);
  absl::Status taken = read.status();
  if (taken.ok()) {
    if (read->certificate == before->certificate && read->key == before->key &&
        read->client_ca == before->client_ca) {
      complaint_.clear();
      return;
    }
    taken = Check(files_, *read);
  }
  if (!taken.ok()) return Complain(std::string(taken.message()));
  complaint_.clear();
  read->generation = before->generation + 1;
  log_("the certificate has changed; this one is valid until " + Day(read->expiry_ns));
  ++reloads_;
  auto now = std::make_shared<const Identity>(*std::move(read));
  std::lock_guard lock(mutex_);
  now_ = std::move(now);
}

}  // namespace sluice::tls
