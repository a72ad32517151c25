// Requests of exact and odd sizes, written, merged and restarted: what was acknowledged is there,
// and directories, bodies and counts agree.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "server/ingest/pipeline.h"
#include "storage/block/block.h"
#include "storage/rocksdb/check.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"
#include "tests/fixture/write_lines.h"

namespace sluice::storage {
namespace {

using std::chrono::milliseconds;

// Where every access is checked, smaller.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kSmaller = 8;
#else
constexpr size_t kSmaller = 1;
#endif

constexpr int64_t kStart = 1'767'225'600'000'000'000;

class SizesTest : public testing::Test {
 protected:
  SizesTest() {
    Open();
    store_->CreateDatabase(name_, {.max_tables = 2000, .max_columns = 300}).value();
  }

  void Open() {
    store_.reset();
    store_ =
        OpenRocksDbStore(dir_.path(), {.min_free_disk_bytes = 0,
                                       .compaction = {.threads = 2, .quiet = milliseconds(20)}})
            .value();
  }

  void Write(const std::string& body) {
    auto outcome = fixture::WriteLines(*store_, log_, {.database = name_, .body = body});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_EQ(outcome->rejected, 0) << outcome->rejections[0].message;
  }

  // All merges that there is something for have been made when none is for a while: longer than a
  // thread of the compactor may sleep.
  void LetItMerge() {
    int64_t merges = 0;
    for (int still = 0; still < 24;) {
      std::this_thread::sleep_for(milliseconds(25));
      const int64_t now = fixture::FigureOf(*store_, "merges_total");
      still = now == merges ? still + 1 : 0;
      merges = now;
    }
    EXPECT_EQ(fixture::FigureOf(*store_, "merge_failures_total"), 0);
  }

  size_t Count(const std::string& table) {
    auto database = store_->FindDatabase(name_).value();
    auto snapshot = database->TakeSnapshot().value();
    ScanSpec spec;
    spec.table = snapshot->schema().Find(table);
    if (spec.table == nullptr) return 0;
    auto scan = snapshot->Read(spec).value();
    ScanRows rows;
    size_t count = 0;
    while (true) {
      absl::Status next = scan->Next(rows);
      EXPECT_TRUE(next.ok()) << next;
      if (!next.ok() || rows.timestamps.empty()) return count;
      count += rows.timestamps.size();
    }
  }

  // Now, merged, and after a restart.
  void ExpectCounts(const std::vector<std::pair<std::string, size_t>>& counts) {
    for (int when = 0; when < 3; ++when) {
      for (const auto& [table, count] : counts) {
        EXPECT_EQ(Count(table), count) << table << " at " << when;
      }
      if (when == 0) LetItMerge();
      if (when == 1) {
        const int64_t blocks = fixture::FigureOf(*store_, "blocks");
        const int64_t bytes = fixture::FigureOf(*store_, "block_bytes");
        store_.reset();
        const StoreReport report = CheckStore(dir_.path()).value();
        for (const std::string& fault : report.faults) ADD_FAILURE() << fault;
        EXPECT_EQ(static_cast<int64_t>(report.blocks), blocks);
        Open();
        EXPECT_EQ(fixture::FigureOf(*store_, "blocks"), blocks);
        EXPECT_EQ(fixture::FigureOf(*store_, "block_bytes"), bytes);
      }
    }
  }

  fixture::TempDir dir_;
  ingest::RejectionLog log_;
  DatabaseName name_ = DatabaseName::Parse("demo").value();
  std::unique_ptr<Store> store_;
};

// `count` points of one series and day, from the `first` on.
std::string Points(const std::string& table, size_t count, size_t first = 0) {
  std::string body;
  for (size_t i = first; i < first + count; ++i) {
    body += fmt::format("{} f={}i {}\n", table, i, kStart + static_cast<int64_t>(i));
  }
  return body;
}

TEST_F(SizesTest, RowsAroundEveryPowerOfTwoAndEveryLimit) {
  std::vector<std::pair<std::string, size_t>> counts;
  std::vector<size_t> middles;
  for (size_t power = 1; power <= (1 << 17) / kSmaller; power *= 2) middles.push_back(power);
  for (size_t blocks : {3, 5, 6, 7}) middles.push_back(blocks * 8192 / kSmaller);
  middles.push_back(3 * kMaxBlockRows / kSmaller);
  for (size_t middle : middles) {
    for (size_t rows : {middle - 1, middle, middle + 1}) {
      if (rows == 0) continue;
      const std::string table = fmt::format("m{}", counts.size());
      Write(Points(table, rows));
      counts.emplace_back(table, rows);
    }
  }
  ExpectCounts(counts);
}

TEST_F(SizesTest, SeveralRequestsThatFillBlocksTogether) {
  std::vector<std::pair<std::string, size_t>> counts;
  for (size_t rows : {32'767, 32'768, 32'769, 16'384, 8'193}) {
    for (size_t requests : {2, 3}) {
      const std::string table = fmt::format("r{}", counts.size());
      for (size_t i = 0; i < requests; ++i) Write(Points(table, rows, i * rows));
      counts.emplace_back(table, rows * requests);
    }
  }
  ExpectCounts(counts);
}

TEST_F(SizesTest, ManyEqualBatches) {
  for (int i = 0; i < 400; ++i) Write(Points("m", 100));
  ExpectCounts({{"m", 100}});
}

TEST_F(SizesTest, OneRowARequest) {
  const size_t requests = 3'000 / kSmaller;
  for (size_t i = 0; i < requests; ++i) Write(Points("m", 1, i));
  ExpectCounts({{"m", requests}});
}

TEST_F(SizesTest, OneHugeTagDictionary) {
  const size_t values = 60'000 / kSmaller;
  const std::string padding(120, 'x');
  for (int request = 0; request < 3; ++request) {
    std::string body;
    for (size_t i = 0; i < values; ++i) {
      body += fmt::format("m,id={}{} f={}i {}\n", padding, i, request, kStart);
    }
    Write(body);
  }
  // Values of the longest that there may be, in many sets.
  const std::string longest(65'536, 'y');
  std::string body;
  for (int i = 0; i < 100; ++i) {
    body += fmt::format("long,id={},n={} f=1i {}\n", longest, i, kStart);
  }
  for (int request = 0; request < 5; ++request) Write(body);
  ExpectCounts({{"m", values}, {"long", 100}});
}

TEST_F(SizesTest, AThousandTablesOf250Columns) {
  const int tables = static_cast<int>(1'000 / kSmaller);
  std::string body;
  std::vector<std::pair<std::string, size_t>> counts;
  for (int table = 0; table < tables; ++table) {
    counts.emplace_back(fmt::format("t{}", table), 2);
    for (int row = 0; row < 2; ++row) {
      body += fmt::format("t{},host=h", table);
      for (int column = 0; column < 248; ++column) {
        body += fmt::format("{}c{}={}i", column == 0 ? ' ' : ',', column, row);
      }
      body += fmt::format(" {}\n", kStart + row);
    }
  }
  Write(body);
  ExpectCounts(counts);
}

TEST_F(SizesTest, AsManyDaysAsARequestMayHave) {
  const int days = static_cast<int>(20'000 / kSmaller);
  std::string body;
  for (int day = 0; day < days; ++day) {
    body += fmt::format("m f=1i {}\n", (day - days / 2) * int64_t{86'400'000'000'000});
  }
  Write(body);
  ExpectCounts({{"m", static_cast<size_t>(days)}});
}

}  // namespace
}  // namespace sluice::storage
