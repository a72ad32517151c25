// What it costs to choose a merge in a partition of so many blocks.

#include <benchmark/benchmark.h>

#include <random>

#include "storage/block/runs.h"

namespace sluice::storage {
namespace {

constexpr uint64_t kNoneInFlight = ~uint64_t{0};
// As many as a partition is looked at after.
constexpr uint64_t kBlocksALook = 128;

// A partition that points keep coming to, after so many blocks of the size that a thousand requests
// a second have; merged as the compactor merges.
void BM_ChooseWhileBusy(::benchmark::State& state) {
  std::mt19937 random(1);
  Runs runs(size_t{256} << 20);
  uint64_t sequence = 0;
  uint64_t run = uint64_t{1} << 40;
  const auto append = [&] {
    const size_t rows = 500 + random() % 1000;
    runs.Append({.key = {1, 0, ++sequence, 0}, .rows = rows, .decoded_bytes = 100 * rows});
  };
  const auto merge = [&] {
    const std::span<const StoredBlock> chosen = runs.Choose(kNoneInFlight, Eagerness::kBusy);
    if (chosen.empty()) return false;
    StoredBlock merged{.key = chosen.back().key};
    merged.key.run = ++run;
    for (const StoredBlock& block : chosen) {
      merged.rows += block.rows;
      merged.decoded_bytes += block.decoded_bytes;
    }
    runs.Replace({merged});
    return true;
  };
  const uint64_t blocks = static_cast<uint64_t>(state.range(0));
  while (sequence < blocks) {
    append();
    if (sequence % kBlocksALook == 0) {
      while (merge()) {
      }
    }
  }
  for (auto _ : state) {
    for (uint64_t i = 0; i < kBlocksALook; ++i) append();
    while (merge()) {
    }
  }
}
// Few turns, so that a thousand stay some thousands.
BENCHMARK(BM_ChooseWhileBusy)->Arg(1'000)->Arg(1'000'000)->Iterations(50);

// All of them wait, none has been merged yet: a backlog.
void BM_ChooseInABacklog(::benchmark::State& state) {
  Runs runs(size_t{256} << 20);
  for (uint64_t sequence = 1; sequence <= static_cast<uint64_t>(state.range(0)); ++sequence) {
    runs.Append({.key = {1, 0, sequence, 0}, .rows = 1000, .decoded_bytes = 100'000});
  }
  for (auto _ : state) {
    ::benchmark::DoNotOptimize(runs.Choose(kNoneInFlight, Eagerness::kBusy).size());
  }
}
BENCHMARK(BM_ChooseInABacklog)->Arg(1'000)->Arg(1'000'000);

}  // namespace
}  // namespace sluice::storage
