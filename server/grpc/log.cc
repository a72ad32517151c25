#include "server/grpc/log.h"

#include <fmt/format.h>
#include <grpc/support/log.h>

#include <string>

#include "server/observability/log.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {
namespace {

constexpr int kLines = 5;
constexpr int64_t kPeriodNs = int64_t{10} * 1'000'000'000;

void Tell(gpr_log_func_args* line) {
  // Its threads may say something until the process is gone.
  static auto& limit = *new observability::LogLimit(kLines, kPeriodNs);
  const int64_t left_out =
      limit.Admit(fmt::format("{}:{}", line->file, line->line), storage::NowNs());
  if (left_out < 0) return;
  const auto level = line->severity == GPR_LOG_SEVERITY_ERROR ? observability::LogLevel::kWarning
                                                              : observability::LogLevel::kInfo;
  const std::string also = left_out > 0 ? std::to_string(left_out) : "";
  const observability::LogField fields[] = {{"left_out", also}};
  observability::Log(level, fmt::format("gRPC: {}", line->message), fields);
}

}  // namespace

void SetUpLog() { gpr_set_log_function(&Tell); }

}  // namespace sluice::grpc_door
