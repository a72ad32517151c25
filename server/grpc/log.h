#ifndef SLUICE_SERVER_GRPC_LOG_H_
#define SLUICE_SERVER_GRPC_LOG_H_

namespace sluice::grpc_door {

// Has gRPC, which by itself writes to standard error as often as somebody does something wrong,
// tell the log of the process: a few lines of each kind in ten seconds.
void SetUpLog();

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_LOG_H_
