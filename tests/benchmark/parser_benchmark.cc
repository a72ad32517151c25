// What it costs to read line protocol, on one thread: the reader alone, and what it is made of.

#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <string>

#include "server/lineprotocol/line_parser.h"
#include "server/lineprotocol/line_reader.h"
#include "server/lineprotocol/scan.h"
#include "tests/benchmark/workload.h"

namespace sluice {
namespace {

constexpr int kBodies = 8;

std::vector<std::string> Bodies(const std::string& shape) {
  auto workload = benchmark::MakeWorkload({.shape = shape});
  std::vector<std::string> bodies(kBodies);
  for (std::string& body : bodies) workload->Next(body);
  return bodies;
}

// Calls `read` with one body after the other; it returns how many lines there were.
template <typename Read>
void Measure(::benchmark::State& state, const std::string& shape, Read read) {
  const std::vector<std::string> bodies = Bodies(shape);
  size_t bytes = 0;
  size_t lines = 0;
  size_t next = 0;
  for (auto _ : state) {
    const std::string& body = bodies[next++ % kBodies];
    lines += read(body);
    bytes += body.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.SetItemsProcessed(static_cast<int64_t>(lines));
}

size_t ReadAll(const std::string& body) {
  lineprotocol::LineReader reader(body);
  size_t values = 0;
  size_t lines = 0;
  while (reader.Next()) {
    values += reader.line().fields.size() + reader.line().tags.size();
    ++lines;
  }
  ::benchmark::DoNotOptimize(values);
  return lines;
}

void BM_Reader(::benchmark::State& state, const char* shape) { Measure(state, shape, ReadAll); }
BENCHMARK_CAPTURE(BM_Reader, cpu, "cpu");
BENCHMARK_CAPTURE(BM_Reader, iot, "iot");
BENCHMARK_CAPTURE(BM_Reader, one_field, "one-field");
BENCHMARK_CAPTURE(BM_Reader, hundred_fields, "hundred-fields");
BENCHMARK_CAPTURE(BM_Reader, new_tags, "new-tags");
BENCHMARK_CAPTURE(BM_Reader, many_tables, "many-tables");
BENCHMARK_CAPTURE(BM_Reader, strings, "strings");

// The parser that knows every rule, to which the reader turns with what is unusual.
void BM_AnyLine(::benchmark::State& state) {
  Measure(state, "cpu", [](const std::string& body) {
    lineprotocol::LineMemory memory;
    lineprotocol::Line line;
    size_t lines = 0;
    for (size_t begin = 0; begin < body.size(); ++lines) {
      const size_t end = body.find('\n', begin);
      ::benchmark::DoNotOptimize(
          lineprotocol::ParseLine(std::string_view(body).substr(begin, end - begin), memory, line));
      begin = end + 1;
    }
    return lines;
  });
}
BENCHMARK(BM_AnyLine);

void BM_FindSeriesEnds(::benchmark::State& state) {
  Measure(state, "cpu", [](const std::string& body) {
    size_t lines = 0;
    for (size_t at = 0; at < body.size(); ++lines) {
      at += lineprotocol::FindSeriesEnd(std::string_view(body).substr(at));
      at = body.find('\n', at) + 1;
    }
    return lines;
  });
}
BENCHMARK(BM_FindSeriesEnds);

void BM_ValidateUtf8(::benchmark::State& state) {
  Measure(state, "cpu", [](const std::string& body) {
    ::benchmark::DoNotOptimize(simdjson::validate_utf8(body.data(), body.size()));
    return size_t{5000};
  });
}
BENCHMARK(BM_ValidateUtf8);

}  // namespace
}  // namespace sluice
