// What each stage of a write costs, on one thread, for bodies of 5,000 lines: items are points.

#include <benchmark/benchmark.h>

#include <string>

#include "server/ingest/judge.h"
#include "server/lineprotocol/line_reader.h"
#include "storage/block/block_encoder.h"
#include "storage/block/compaction.h"
#include "tests/benchmark/workload.h"

namespace sluice {
namespace {

constexpr int64_t kLines = 5000;

std::vector<std::string> Bodies(const std::string& shape, size_t count) {
  auto workload = benchmark::MakeWorkload({.shape = shape});
  std::vector<std::string> bodies(count);
  for (std::string& body : bodies) workload->Next(body);
  return bodies;
}

storage::WriteSet Draw(const std::string& body) {
  ingest::Judge judge(std::make_shared<storage::DatabaseSchema>(), {.check_utf8 = false});
  lineprotocol::LineReader reader(body);
  while (reader.Next()) judge.Add(reader.line());
  return judge.Finish();
}

// Reader and judge: text to typed columns.
void BM_Judge(::benchmark::State& state, const char* shape) {
  const std::vector<std::string> bodies = Bodies(shape, 8);
  size_t next = 0;
  for (auto _ : state) ::benchmark::DoNotOptimize(Draw(bodies[next++ % bodies.size()]));
  state.SetItemsProcessed(kLines * static_cast<int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(BM_Judge, cpu, "cpu");
BENCHMARK_CAPTURE(BM_Judge, iot, "iot");
BENCHMARK_CAPTURE(BM_Judge, new_tags, "new-tags");
BENCHMARK_CAPTURE(BM_Judge, many_series, "many-series");
BENCHMARK_CAPTURE(BM_Judge, strings, "strings");

void BM_EncodeBlock(::benchmark::State& state, const char* shape) {
  const storage::WriteSet write = Draw(Bodies(shape, 1)[0]);
  size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    for (const storage::TableBatch& batch : write.batches) {
      storage::EncodedBlock block = storage::EncodeBlock(batch);
      bytes += block.directory.size() + block.body.size();
    }
  }
  state.SetItemsProcessed(kLines * static_cast<int64_t>(state.iterations()));
  state.counters["bytes/point"] = static_cast<double>(bytes) / kLines;
}
BENCHMARK_CAPTURE(BM_EncodeBlock, cpu, "cpu");
BENCHMARK_CAPTURE(BM_EncodeBlock, iot, "iot");
BENCHMARK_CAPTURE(BM_EncodeBlock, new_tags, "new-tags");
BENCHMARK_CAPTURE(BM_EncodeBlock, strings, "strings");

// 32 requests into one run.
void BM_Merge(::benchmark::State& state, const char* shape) {
  constexpr size_t kRequests = 32;
  std::vector<std::string> bytes;
  storage::TablePtr table;
  for (const std::string& body : Bodies(shape, kRequests)) {
    const storage::WriteSet write = Draw(body);
    const storage::EncodedBlock block = storage::EncodeBlock(write.batches[0]);
    bytes.push_back(block.directory + block.body);
    table = write.batches[0].table();
  }
  std::vector<storage::Block> blocks;
  for (const std::string& block : bytes) blocks.push_back(storage::Block::Open(block).value());
  size_t merged_bytes = 0;
  for (auto _ : state) {
    merged_bytes = 0;
    const auto merged = storage::Compact(*table, blocks, 0);
    for (const storage::EncodedBlock& block : *merged) {
      merged_bytes += block.directory.size() + block.body.size();
    }
  }
  size_t rows = 0;
  for (const storage::Block& block : blocks) rows += block.row_count();
  state.SetItemsProcessed(static_cast<int64_t>(rows * state.iterations()));
  state.counters["bytes/point"] = static_cast<double>(merged_bytes) / static_cast<double>(rows);
}
BENCHMARK_CAPTURE(BM_Merge, cpu, "cpu");
BENCHMARK_CAPTURE(BM_Merge, new_tags, "new-tags");
BENCHMARK_CAPTURE(BM_Merge, many_series, "many-series");
BENCHMARK_CAPTURE(BM_Merge, strings, "strings");

}  // namespace
}  // namespace sluice
