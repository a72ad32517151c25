#ifndef SLUICE_TESTS_BENCHMARK_STREAM_CONNECTION_H_
#define SLUICE_TESTS_BENCHMARK_STREAM_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sluice::benchmark {

// How the points of a stream are sent.
enum class StreamForm { kLines, kRows, kColumns, kCompactColumns };

// A serialized WriteStreamBatch for a body of line protocol, without its number.
std::string MakeBatch(const std::string& body, StreamForm form);

// One stream of writes over a connection of its own. Batches are sent as they are: what it costs to
// make them is not measured.
class StreamConnection {
 public:
  StreamConnection(const std::string& address, const std::string& database);
  ~StreamConnection();

  // Sends batches that MakeBatch made, as fast as the window lets it, until all are acknowledged.
  // Returns what went wrong, if anything did; adds to `latencies_ms` how long each batch took.
  std::string Send(const std::vector<const std::string*>& batches, size_t max_under_way,
                   std::vector<double>& latencies_ms);

 private:
  class Stream;

  std::unique_ptr<Stream> stream_;
};

}  // namespace sluice::benchmark

#endif  // SLUICE_TESTS_BENCHMARK_STREAM_CONNECTION_H_
