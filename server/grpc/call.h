#ifndef SLUICE_SERVER_GRPC_CALL_H_
#define SLUICE_SERVER_GRPC_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/auth/credential.h"
#include "server/gate/gate.h"
#include "server/gate/parts.h"

// What every handler does with its call.

namespace sluice::grpc_door {

// The token in a call's metadata `authorization`, and without one the names in the certificate of
// its client.
auth::Credential CredentialOf(const server::Parts& parts,
                              const grpc::CallbackServerContext& context);

// What a call claims that names a database, or with
// kAdminister none. `parameters` says what is wrong with it besides, told after what is wrong with
// the name.
server::Claim ClaimOf(const server::Parts& parts, const grpc::CallbackServerContext& context,
                      server::Act act, const std::string& database = "",
                      const absl::Status& parameters = absl::OkStatus());

// The call as whoever watches requests sees it; null where it is none of those.
std::shared_ptr<observability::Request> RequestOf(const server::Parts& parts,
                                                  const grpc::CallbackServerContext& context);

// The client's address and port, such as 10.0.0.1:5000 or [::1]:5000.
std::string PeerOf(const grpc::ServerContextBase& context);

// OK while somebody may wait for the answer; DeadlineExceeded or Cancelled afterwards.
absl::Status CheckAwaited(const grpc::CallbackServerContext& context);

// Adds the trailer `grpc-retry-pushback-ms` where `status` is UNAVAILABLE (contract W-9).
void AddPushback(const grpc::Status& status, grpc::CallbackServerContext& context);

// Ends the call.
template <typename Reactor>
void Finish(grpc::CallbackServerContext* context, Reactor* reactor, const grpc::Status& status) {
  AddPushback(status, *context);
  reactor->Finish(status);
}

// Sees to it that a call ends: with what it is told, or where it goes without, with UNAVAILABLE.
class Ending {
 public:
  Ending(grpc::CallbackServerContext* context, grpc::ServerUnaryReactor* reactor)
      : context_(context), reactor_(reactor) {}
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending();
  void operator()(const grpc::Status& status);

 private:
  grpc::CallbackServerContext* const context_;
  grpc::ServerUnaryReactor* reactor_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_CALL_H_
