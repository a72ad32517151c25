#ifndef SLUICE_SERVER_TLS_CERTIFICATES_H_
#define SLUICE_SERVER_TLS_CERTIFICATES_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace sluice::tls {

// Where the server's certificate is, in PEM.
struct Files {
  // The server's own, followed by those between it and the authority's.
  std::string certificate;
  std::string key;
  // Of the authorities that clients' certificates may be from; empty where clients are not asked
  // for one.
  std::string client_ca = "";

  bool given() const { return !certificate.empty(); }
};

// Whether a client has to bring a certificate, where one is asked for.
enum class Clients { kMay, kMust };

// What the files hold at one moment. Key and certificate belong together.
struct Identity {
  // Another for each that differs.
  uint64_t generation = 0;
  std::string certificate;
  std::string key;
  std::string client_ca;
  // When the server's certificate ceases to be valid.
  int64_t expiry_ns = 0;
};

// Whether the authorities of `identity` believe a client's certificate, in PEM, at this moment: for
// one that has come without a handshake of its own. Those between it and an authority have to be
// among the authorities.
bool IsBelieved(const Identity& identity, const std::string& certificate);

// The server's certificate and whom it believes, as its files say now: looked at every
// `period`, as a Secret that Kubernetes mounts changes by the swap of a link. Files that cannot be
// read or do not fit together leave what was there before. What changes holds for connections made
// from then on. Safe for use by many threads.
class Certificates {
 public:
  // `log` is told of what changes and what is wrong. InvalidArgument where the files are of no use.
  static absl::StatusOr<std::unique_ptr<Certificates>> Open(
      const Files& files, std::function<void(const std::string& line)> log,
      std::chrono::milliseconds period = std::chrono::seconds(1));
  ~Certificates();

  std::shared_ptr<const Identity> Now() const;
  uint64_t reloads() const { return reloads_; }
  // How often files were found that could not be taken.
  uint64_t failures() const { return failures_; }
  // Whether the files, when they were looked at last, were of use, so that they are what is shown.
  bool files_ok() const { return files_ok_; }

 private:
  Certificates(Files files, std::function<void(const std::string& line)> log);

  void Watch(std::chrono::milliseconds period);
  void Look();
  void Complain(std::string what);
  void Content();

  const Files files_;
  const std::function<void(const std::string& line)> log_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Identity> now_;
  std::atomic<uint64_t> reloads_ = 0;
  std::atomic<uint64_t> failures_ = 0;
  std::atomic<bool> files_ok_ = true;
  // What was wrong when it was looked last.
  std::string complaint_;
  bool told_ = false;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread watch_;
};

}  // namespace sluice::tls

#endif  // SLUICE_SERVER_TLS_CERTIFICATES_H_
