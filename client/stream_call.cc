#include "client/stream_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <array>
#include <utility>

#include "client/channel.h"

namespace sluice::client {
namespace {

constexpr char kMethod[] = "/sluice.v1.WriteService/WriteStream";

// Bytes that somebody else owns, for as long as gRPC needs them.
grpc::Slice Borrow(const std::string& bytes, std::shared_ptr<const void> owner) {
  auto* held = new std::shared_ptr<const void>(std::move(owner));
  const auto let_go = [](void* owner_held) {
    delete static_cast<std::shared_ptr<const void>*>(owner_held);
  };
  return grpc::Slice(const_cast<char*>(bytes.data()), bytes.size(), let_go, held);
}

}  // namespace

std::shared_ptr<StreamCall> StreamCall::Start(const std::shared_ptr<grpc::Channel>& channel,
                                              const std::string& token,
                                              const v1::WriteStreamRequest& open,
                                              Listener* listener) {
  std::shared_ptr<StreamCall> call(new StreamCall(listener));
  if (!token.empty()) call->context_.AddMetadata("authorization", "Bearer " + token);
  grpc::GenericStub stub(channel);
  stub.PrepareBidiStreamingCall(&call->context_, kMethod, {}, call.get());
  call->AddHold();
  const std::string bytes = open.SerializeAsString();
  const grpc::Slice slice(bytes);
  call->out_ = grpc::ByteBuffer(&slice, 1);
  call->StartRead(&call->in_);
  call->StartWrite(&call->out_);
  call->StartCall();
  return call;
}

void StreamCall::Send(const std::string& head, const std::string& body,
                      std::shared_ptr<const void> owner) {
  const std::array slices = {grpc::Slice(head), Borrow(body, std::move(owner))};
  out_ = grpc::ByteBuffer(slices.data(), slices.size());
  StartWrite(&out_);
}

void StreamCall::OnReadDone(bool ok) {
  if (!ok) return listener_->OnReceivedAll();
  v1::WriteStreamResponse message;
  bool parsed = false;
  {
    grpc::ProtoBufferReader reader(&in_);
    parsed = reader.status().ok() && message.ParseFromZeroCopyStream(&reader);
  }
  in_.Clear();
  // What is not understood is not answered: the stream ends, and all is sent again.
  if (!parsed) {
    context_.TryCancel();
  } else {
    listener_->OnMessage(std::move(message));
  }
  StartRead(&in_);
}

void StreamCall::OnDone(const grpc::Status& status) { listener_->OnEnd(FromGrpc(status)); }

}  // namespace sluice::client
