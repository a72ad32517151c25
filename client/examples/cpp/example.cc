// Writes points by the Writer, across restarts of the server.
//
//   example 127.0.0.1:8182 demo writer-1

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/time/clock.h"
#include "client/writer.h"

using sluice::client::RejectedPoint;
using sluice::client::Series;
using sluice::client::Writer;
using sluice::client::WriterReport;

constexpr int64_t kPoints = 10'000;

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: example HOST:PORT DATABASE WRITER\n");
    return 64;
  }
  const char* token = std::getenv("SLUICE_TOKEN");
  const auto tls = sluice::client::TlsFromEnvironment();
  if (!tls.ok()) {
    std::fprintf(stderr, "%s\n", std::string(tls.status().message()).c_str());
    return 64;
  }
  Writer writer(argv[1], {.database = argv[2],
                          .token = token == nullptr ? "" : token,
                          .tls = *tls,
                          .batch_age = absl::Milliseconds(20),
                          .writer_id = argv[3],
                          .on_rejected = [](const RejectedPoint& point) {
                            std::fprintf(stderr, "point %llu: %s\n",
                                         static_cast<unsigned long long>(point.cookie),
                                         std::string(point.message).c_str());
                          }});
  const absl::StatusOr<Series> series = writer.AddSeries("cpp", {{"host", "example"}});
  if (!series.ok()) return 1;
  const absl::Time start = absl::FromUnixSeconds(1'700'000'000);
  for (int64_t n = 0; n < kPoints; ++n) {
    const absl::Status added =
        writer.Add(*series, start + absl::Milliseconds(n), {{"n", n}}, static_cast<uint64_t>(n));
    if (!added.ok()) {
      std::fprintf(stderr, "%s\n", std::string(added.message()).c_str());
      break;
    }
    // Only so that there is time for a restart.
    if (n % 100 == 0) absl::SleepFor(absl::Milliseconds(20));
  }
  const WriterReport report = writer.Close(absl::Seconds(30));
  std::printf("%lld points are written\n", static_cast<long long>(report.written));
  if (!report.complete()) {
    std::fprintf(stderr, "%s\n", std::string(report.last_error.message()).c_str());
  }
  return report.complete() && report.written == kPoints ? 0 : 1;
}
