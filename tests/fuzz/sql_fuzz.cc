// Any text as a query: it gives rows or an error, in time, and changes nothing.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "server/ingest/pipeline.h"
#include "server/query/query.h"
#include "storage/rocksdb/store.h"
#include "storage/timestamp.h"
#include "tests/fixture/temp_dir.h"
#include "tests/fixture/write_lines.h"

namespace {

using sluice::query::Query;

constexpr int64_t kNow = int64_t{1'700'000'000} * 1'000'000'000;

struct World {
  sluice::fixture::TempDir dir;
  std::unique_ptr<sluice::storage::Store> store =
      sluice::storage::OpenRocksDbStore(dir.path(), {.min_free_disk_bytes = 0}).value();
  sluice::ingest::RejectionLog log;
  std::unique_ptr<sluice::query::Governor> governor =
      sluice::query::Governor::Create(
          {.memory_bytes = size_t{32} << 20, .temporary_bytes = size_t{1} << 20})
          .value();
  const sluice::storage::DatabaseName name = sluice::storage::DatabaseName::Parse("demo").value();

  World() {
    store->CreateDatabase(name, {}).value();
    std::string lines;
    for (int i = 0; i < 50; ++i) {
      lines += "home,room=r" + std::to_string(i % 5) + " temp=" + std::to_string(i) +
               ".5,n=" + std::to_string(i) + "i,u=" + std::to_string(i) +
               "u,on=" + (i % 2 ? "t" : "f") + ",s=\"x" + std::to_string(i) + "\" " +
               std::to_string(kNow + i) + "\n";
    }
    sluice::fixture::WriteLines(*store, log, {.database = name, .body = lines}).value();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const world = new World();
  const auto begun = std::chrono::steady_clock::now();
  {
    auto query = Query::Open(*world->store, world->log, *world->governor,
                             {.database = world->name,
                              .sql = std::string(reinterpret_cast<const char*>(data), size),
                              .arrival_ns = kNow,
                              .deadline = begun + std::chrono::milliseconds(200)});
    if (query.ok()) {
      sluice::query::Row row;
      for (int rows = 0; rows < 1000; ++rows) {
        const absl::StatusOr<bool> more = (*query)->Next(row);
        if (!more.ok() || !*more) break;
        if (row.size() != (*query)->columns().size()) std::abort();
      }
    }
  }
  // What cannot be stopped would keep a server from stopping.
  if (std::chrono::steady_clock::now() > begun + std::chrono::seconds(8)) std::abort();
  if (world->governor->open() != 0 || world->governor->memory().used_bytes() != 0) std::abort();
  return 0;
}
