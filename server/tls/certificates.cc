#include "server/tls/certificates.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <exception>
#include <utility>

#include "storage/timestamp.h"

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
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX, SSL_CTX_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE, X509_STORE_free>>;
using Verification = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX, X509_STORE_CTX_free>>;

absl::Status Wrong(const std::string& file, std::string_view what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(fmt::format("{}: {}", file, what));
}

// Waits for nobody: what is no file, a pipe for example, is none.
absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return Wrong(path, "cannot be read");
  struct stat info {};
  const bool regular = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  std::string text;
  ssize_t size = 0;
  if (regular && static_cast<size_t>(info.st_size) <= kMaxFileBytes) {
    // One byte more shows that it has grown.
    text.resize(kMaxFileBytes + 1);
    size_t read_bytes = 0;
    while (read_bytes < text.size() &&
           (size = read(file, text.data() + read_bytes, text.size() - read_bytes)) > 0) {
      read_bytes += static_cast<size_t>(size);
    }
    text.resize(read_bytes);
  }
  close(file);
  if (!regular) return Wrong(path, "is no file");
  if (static_cast<size_t>(info.st_size) > kMaxFileBytes || text.size() > kMaxFileBytes) {
    return Wrong(path, "is larger than 1 MiB");
  }
  if (size < 0) return Wrong(path, "cannot be read");
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
  // OpenSSL has an opinion of its own about what is too weak to be shown.
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr || SSL_CTX_use_certificate(context.get(), certificate->get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
    return Wrong(files.certificate,
                 fmt::format("cannot be used: {}", reason == nullptr ? "unknown" : reason));
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

bool HasEnded(const Identity& identity) { return identity.expiry_ns <= storage::NowNs(); }

std::string Validity(const Identity& identity) {
  const std::string end = storage::FormatTimestamp(identity.expiry_ns);
  return HasEnded(identity) ? fmt::format("HAS EXPIRED on {}: clients will refuse it", end)
                            : "is valid until " + end;
}

}  // namespace

bool IsBelieved(const Identity& identity, const std::string& certificate) {
  const Certificate leaf(PEM_read_bio_X509(Open(certificate).get(), nullptr, nullptr, nullptr));
  const Store store(X509_STORE_new());
  const Verification verification(X509_STORE_CTX_new());
  bool believed = leaf != nullptr && store != nullptr && verification != nullptr;
  const Bio authorities = Open(identity.client_ca);
  while (believed) {
    const Certificate authority(PEM_read_bio_X509(authorities.get(), nullptr, nullptr, nullptr));
    if (authority == nullptr) break;
    believed = X509_STORE_add_cert(store.get(), authority.get()) == 1;
  }
  believed = believed &&
             X509_STORE_CTX_init(verification.get(), store.get(), leaf.get(), nullptr) == 1 &&
             X509_STORE_CTX_set_default(verification.get(), "ssl_client") == 1 &&
             X509_verify_cert(verification.get()) == 1;
  ERR_clear_error();
  return believed;
}

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
  if (HasEnded(*identity)) certificates->log_("the certificate " + Validity(*identity));
  certificates->now_ = std::make_shared<const Identity>(*std::move(identity));
  certificates->watch_ = std::thread([self = certificates.get(), period] { self->Watch(period); });
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
    } catch (const std::exception& error) {
      // For want of memory; what was there stays.
      Complain(error.what());
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
    files_ok_ = false;
    ++failures_;
    log_("the certificate stays as it was: " + complaint_);
  }
}

void Certificates::Content() {
  complaint_.clear();
  files_ok_ = true;
}

void Certificates::Look() {
  const std::shared_ptr<const Identity> before = Now();
  absl::StatusOr<Identity> read = Read(files_);
  absl::Status taken = read.status();
  if (taken.ok()) {
    if (read->certificate == before->certificate && read->key == before->key &&
        read->client_ca == before->client_ca) {
      Content();
      return;
    }
    taken = Check(files_, *read);
  }
  if (!taken.ok()) return Complain(std::string(taken.message()));
  Content();
  read->generation = before->generation + 1;
  const bool others = read->client_ca != before->client_ca;
  log_(fmt::format("the {} changed; the certificate {}",
                   others ? "authorities of clients, or the certificate, have" : "certificate has",
                   Validity(*read)));
  ++reloads_;
  auto now = std::make_shared<const Identity>(*std::move(read));
  std::lock_guard lock(mutex_);
  now_ = std::move(now);
}

}  // namespace sluice::tls
