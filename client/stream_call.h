#ifndef SLUICE_CLIENT_STREAM_CALL_H_
#define SLUICE_CLIENT_STREAM_CALL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "sluice/v1/write.pb.h"

namespace sluice::client {

// One call of WriteStream; not part of the library's interface. Its methods are called by one
// thread, which holds no lock that the listener takes.
class StreamCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Told by gRPC's threads.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnMessage(v1::WriteStreamResponse message) = 0;
    // What was sent last has left, or never will.
    virtual void OnSent() = 0;
    // Nothing can be received any more.
    virtual void OnReceivedAll() = 0;
    // The last of all. The status is that of the call.
    virtual void OnEnd(absl::Status status) = 0;
  };

  // Sends `open` first, which is followed by OnSent. `listener` must live, and the call be held,
  // until OnEnd, and let go of by another thread than that which tells it: with the call may go its
  // channel, which waits for gRPC's threads.
  static std::shared_ptr<StreamCall> Start(const std::shared_ptr<grpc::Channel>& channel,
                                           const std::string& token,
                                           const v1::WriteStreamRequest& open, Listener* listener);

  // After OnSent for what was sent before; not after Release. `body` is that of `owner`.
  void Send(const std::string& head, const std::string& body, std::shared_ptr<const void> owner);
  // Nothing more will be sent.
  void CloseSending() { StartWritesDone(); }
  void Cancel() { context_.TryCancel(); }
  // Once, after OnReceivedAll: the call may end.
  void Release() { RemoveHold(); }

 private:
  explicit StreamCall(Listener* listener) : listener_(listener) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool) override { listener_->OnSent(); }
  void OnDone(const grpc::Status& status) override;

  Listener* const listener_;
  grpc::ClientContext context_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_STREAM_CALL_H_
