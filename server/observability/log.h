#ifndef SLUICE_SERVER_OBSERVABILITY_LOG_H_
#define SLUICE_SERVER_OBSERVABILITY_LOG_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

// What the process tells whoever runs it, by spdlog. Whatever is in a message is one line of the
// log: control characters and bytes that are not UTF-8 are escaped, so that a name that somebody
// has chosen can forge nothing.

namespace sluice::observability {

enum class LogFormat { kText, kJson };
enum class LogLevel { kInfo, kWarning, kError };

// A name of ours, and a value that may be anybody's.
using LogField = std::pair<std::string_view, std::string_view>;

// Has the process log to standard output in this format from now on: as text,
//   [2026-11-26 10:00:00.000] [info] message key=value
// or an object of JSON on each line: time (RFC 3339), level, message, and the fields.
void SetUpLog(LogFormat format);

// Fields without a value are left out. Safe for use by many threads.
void Log(LogLevel level, std::string_view message, std::span<const LogField> fields);

// Lets through so many lines of a kind in a period, and counts the others. There are few kinds.
// Safe for use by many threads.
class LogLimit {
 public:
  LogLimit(int lines, int64_t period_ns) : lines_(lines), period_ns_(period_ns) {}

  // How many were left out before this one; negative where this one is to be left out.
  int64_t Admit(const std::string& kind, int64_t now_ns);

 private:
  struct Kind {
    int64_t begun_ns = 0;
    int lines = 0;
    int64_t left_out = 0;
  };

  const int lines_;
  const int64_t period_ns_;
  std::mutex mutex_;
  std::map<std::string, Kind> kinds_;
};

}  // namespace sluice::observability

#endif  // SLUICE_SERVER_OBSERVABILITY_LOG_H_
