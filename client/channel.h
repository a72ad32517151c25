#ifndef SLUICE_CLIENT_CHANNEL_H_
#define SLUICE_CLIENT_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection.h"

// gRPC as this library uses it; not part of its interface.

namespace sluice::client {

enum class Retries {
  // Calls that may be made twice are, where the server was not there or not able to.
  kByGrpc,
  // By whoever calls.
  kNone,
};

// A channel with a connection of its own that outlives restarts of the server: it is made again
// after a tenth of a second first, and a second at most. Pings find out a server that is gone
// without a word.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const std::optional<Tls>& tls, Retries retries);

absl::Status FromGrpc(const grpc::Status& status);

// How long the server wants to be left alone; zero where it does not say.
absl::Duration RetryDelayOf(const absl::Status& status);

// The token that is sent now. Safe for use by many threads.
class CurrentToken {
 public:
  // `source` wins, if there is one.
  CurrentToken(std::string token, TokenSource source)
      : source_(std::move(source)), token_(std::move(token)), is_known_(!source_) {}

  // Empty: none is to be sent.
  absl::StatusOr<std::string> Get();
  // The server does not take `refused`. Whether the source has another one, which Get gives then.
  absl::StatusOr<bool> Renew(const std::string& refused);

 private:
  const TokenSource source_;
  std::mutex mutex_;
  std::string token_;
  bool is_known_;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CHANNEL_H_
