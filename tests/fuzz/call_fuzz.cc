// Any bytes as the message of a gRPC call, to a whole server: the first byte says of which method,
// with 0 a batch of a stream of writes. Every call is answered, and never as a fault of the server.

#include <grpcpp/grpcpp.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/query.grpc.pb.h"
#include "sluice/v1/write.grpc.pb.h"
#include "tests/fixture/running_server.h"

namespace {

using grpc::ByteBuffer;

constexpr std::array<const char*, 15> kMethods = {
    "/sluice.v1.WriteService/WriteStream",    "/sluice.v1.WriteService/Write",
    "/sluice.v1.WriteService/Validate",       "/sluice.v1.QueryService/Query",
    "/sluice.v1.AdminService/ListDatabases",  "/sluice.v1.AdminService/GetDatabase",
    "/sluice.v1.AdminService/UpdateDatabase", "/sluice.v1.AdminService/ListTables",
    "/sluice.v1.AdminService/DescribeTable",  "/sluice.v1.AdminService/ListRejections",
    "/sluice.v1.AdminService/DeleteToken",    "/sluice.v1.AdminService/ListTokens",
    "/sluice.v1.AdminService/ListBackups",    "/sluice.v1.AdminService/VerifyBackup",
    "/sluice.v1.AdminService/DeleteBackup",
};

struct World {
  sluice::fixture::RunningServer server{{.query_timeout = std::chrono::milliseconds(500),
                                         .max_memory_bytes = size_t{64} << 20,
                                         .max_judging_bytes = size_t{64} << 20}};
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateChannel(server.grpc_address(), grpc::InsecureChannelCredentials());

  World() { server.CreateDatabase("demo"); }
};

ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return ByteBuffer(&slice, 1);
}

// Sends the messages, and returns what the call ended with. The same for calls of all kinds: what
// is no stream takes the first.
grpc::Status Call(grpc::Channel& channel, const std::string& method,
                  const std::vector<std::string>& messages) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  const bool streams = messages.size() > 1;
  const grpc::internal::RpcMethod rpc(method.c_str(),
                                      streams ? grpc::internal::RpcMethod::BIDI_STREAMING
                                              : grpc::internal::RpcMethod::SERVER_STREAMING);
  ByteBuffer answer;
  if (!streams) {
    const std::unique_ptr<grpc::ClientReader<ByteBuffer>> reader(
        grpc::internal::ClientReaderFactory<ByteBuffer>::Create(&channel, rpc, &context,
                                                                ToBuffer(messages[0])));
    while (reader->Read(&answer)) {
    }
    return reader->Finish();
  }
  const std::unique_ptr<grpc::ClientReaderWriter<ByteBuffer, ByteBuffer>> stream(
      grpc::internal::ClientReaderWriterFactory<ByteBuffer, ByteBuffer>::Create(&channel, rpc,
                                                                                &context));
  for (const std::string& message : messages) {
    if (!stream->Write(ToBuffer(message))) break;
  }
  stream->WritesDone();
  while (stream->Read(&answer)) {
  }
  return stream->Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static auto* const world = new World();
  const std::string method = kMethods[data[0] % kMethods.size()];
  std::vector<std::string> messages = {{reinterpret_cast<const char*>(data) + 1, size - 1}};
  if (method == kMethods[0]) {
    sluice::v1::WriteStreamRequest open;
    open.mutable_open()->set_database("demo");
    messages.insert(messages.begin(), open.SerializeAsString());
  }
  const grpc::Status status = Call(*world->channel, method, messages);
  switch (status.error_code()) {
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::UNIMPLEMENTED:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::CANCELLED:
      std::fprintf(stderr, "%s: %d %s\n", method.c_str(), static_cast<int>(status.error_code()),
                   status.error_message().c_str());
      std::abort();
    default:
      return 0;
  }
}
