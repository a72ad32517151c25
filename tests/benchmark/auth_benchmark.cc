// What it costs to find out who makes a request, by a header as clients send it.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "server/auth/authority.h"
#include "server/auth/credential.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

constexpr int64_t kNow = 1;
constexpr int kTokens = 1000;

void BM_IdentifyAmongAThousandTokens(benchmark::State& state) {
  fixture::TempDir dir;
  auto store = storage::OpenRocksDbStore(dir.path()).value();
  auto authority = auth::Authority::Open(*store).value();
  std::string header;
  for (int i = 0; i < kTokens; ++i) {
    auth::NewToken token = {.name = fmt::format("t{}", i), .grants = {{"demo", true, true}}};
    header = "Bearer " + authority->Create(token, kNow)->text;
  }
  for (auto _ : state) {
    auto principal = authority->Identify({.token = auth::TokenIn(header)}, kNow);
    benchmark::DoNotOptimize(principal->MayWrite("demo").ok());
  }
}
BENCHMARK(BM_IdentifyAmongAThousandTokens)->ThreadRange(1, 2);

}  // namespace
}  // namespace sluice
