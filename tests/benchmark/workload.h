#ifndef SLUICE_TESTS_BENCHMARK_WORKLOAD_H_
#define SLUICE_TESTS_BENCHMARK_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::benchmark {

// What the generated points are like. Zero means the shape's own default.
struct WorkloadOptions {
  // One of Shapes().
  std::string shape = "cpu";
  // How many series.
  int64_t series = 0;
  // Lines in a body.
  int64_t lines = 0;
  // The first timestamp.
  int64_t start_s = 1'700'000'000;
};

// Makes bodies of line protocol, one after the other. The same options make the same bodies. For
// one thread.
class Workload {
 public:
  virtual ~Workload() = default;

  // Replaces `body` by the next one.
  virtual void Next(std::string& body) = 0;
  virtual int64_t lines_in_body() const = 0;
};

// The names and what each is, for a usage text.
struct Shape {
  std::string_view name;
  std::string_view about;
};
std::vector<Shape> Shapes();

// Null where there is no such shape.
std::unique_ptr<Workload> MakeWorkload(const WorkloadOptions& options);

}  // namespace sluice::benchmark

#endif  // SLUICE_TESTS_BENCHMARK_WORKLOAD_H_
