#ifndef SLUICE_SERVER_GRPC_WRITE_STREAM_H_
#define SLUICE_SERVER_GRPC_WRITE_STREAM_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>

#include "server/gate/parts.h"
#include "server/gate/write_gate.h"

namespace sluice::grpc_door {

// What a client may have on the way (contract W-88). What has been read and not acknowledged is
// never more than this and one batch.
inline constexpr size_t kWindowBytes = size_t{4} << 20;
inline constexpr size_t kWindowBatches = 4096;

struct WriteStreamOptions {
  // Of a batch's points, also of a unary write (contract W-38).
  size_t max_batch_bytes = size_t{10} << 20;
  // Of a whole message, decompressed.
  size_t max_message_bytes = size_t{11} << 20;
  // A stream that has lasted so long is ended (W-88). Zero: none is.
  std::chrono::milliseconds max_age = std::chrono::milliseconds(0);
  // How long a stream is read on that has been told that it will be ended.
  std::chrono::milliseconds grace = std::chrono::seconds(5);
};

// The open streams of WriteService.WriteStream. Safe for use by many threads.
class WriteStreams : public std::enable_shared_from_this<WriteStreams> {
 public:
  using Reactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

  // `parts` must outlive it.
  WriteStreams(const server::Parts& parts, const WriteStreamOptions& options);
  ~WriteStreams();

  Reactor* Open(grpc::CallbackServerContext* context);

  // Tells every stream that the server stops, reads on for `grace`, then ends them; those whose
  // clients close them are not waited for.
  void Drain(std::chrono::milliseconds grace);

  size_t size() const;

 private:
  class Stream;
  using Clock = std::chrono::steady_clock;

  Clock::time_point EndOfLife() const;
  void Remove(Stream* stream);
  // Makes `stream` the only one of a writer. Calls `alone` once that is so: when an older one has
  // nothing under way any more.
  void Claim(const std::string& writer, Stream* stream, std::function<void()> alone);
  void EndOld();

  const server::Parts& parts_;
  const WriteStreamOptions options_;
  const server::WriteGate gate_;

  mutable std::mutex mutex_;
  std::unordered_set<Stream*> streams_;
  std::map<std::string, Stream*> by_writer_;
  // Ends streams whose time has come.
  std::jthread watch_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_WRITE_STREAM_H_
