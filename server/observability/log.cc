#include "server/observability/log.h"

#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>
#include <memory>

#include "server/ingest/utf8.h"

namespace sluice::observability {
namespace {

// Of the line that this thread is logging: spdlog formats it on the same thread.
thread_local std::span<const LogField> fields_now;

// As a string of JSON holds it, without the quotes: bytes that are no text as \u00XX.
void AppendEscaped(std::string_view text, spdlog::memory_buf_t& out) {
  constexpr std::string_view kReplacement = "\\ufffd";
  const auto append = [&out](std::string_view part) {
    out.append(part.data(), part.data() + part.size());
  };
  while (!text.empty()) {
    const unsigned char c = static_cast<unsigned char>(text.front());
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(text.front());
    } else if (c == '\n') {
      append("\\n");
    } else if (c < 0x20 || c == 0x7f) {
      append(fmt::format("\\u{:04x}", c));
    } else if (c < 0x80) {
      out.push_back(text.front());
    } else {
      // A character of several bytes, if it is one: those of C1 and the separators of lines are
      // control characters to some terminals.
      size_t size = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
      size = std::min(size, text.size());
      const std::string_view character = text.substr(0, size);
      const bool control =
          character < "\xc2\xa0" || character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9";
      if (!ingest::IsUtf8(character)) {
        append(kReplacement);
        size = 1;
      } else if (control) {
        append(kReplacement);
      } else {
        append(character);
      }
      text.remove_prefix(size);
      continue;
    }
    text.remove_prefix(1);
  }
}

std::string_view NameOf(spdlog::level::level_enum level) {
  const auto& name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

class TextFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto since = message.time.time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    const std::time_t seconds = ms / 1000;
    std::tm time{};
    localtime_r(&seconds, &time);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &time);
    fmt::format_to(std::back_inserter(out), "[{}.{:03}] [{}] ", text, ms % 1000,
                   NameOf(message.level));
    AppendPlain({message.payload.data(), message.payload.size()}, out);
    for (const auto& [name, value] : fields_now) {
      if (value.empty()) continue;
      fmt::format_to(std::back_inserter(out), " {}=", name);
      const bool quoted = value.find_first_of(" =\"\\") != std::string_view::npos;
      if (quoted) out.push_back('"');
      AppendEscaped(value, out);
      if (quoted) out.push_back('"');
    }
    out.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>();
  }

 private:
  // For people: quotes and backslashes as they are.
  static void AppendPlain(std::string_view text, spdlog::memory_buf_t& out) {
    for (size_t end; !text.empty(); text.remove_prefix(end)) {
      end = text.find_first_of("\"\\");
      if (end == 0) {
        out.push_back(text.front());
        end = 1;
        continue;
      }
      end = std::min(end, text.size());
      AppendEscaped(text.substr(0, end), out);
    }
  }
};

class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto since = message.time.time_since_epoch();
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    const std::time_t seconds = us / 1'000'000;
    std::tm time{};
    gmtime_r(&seconds, &time);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &time);
    fmt::format_to(std::back_inserter(out), R"({{"time":"{}.{:06}Z","level":"{}","message":")",
                   text, us % 1'000'000, NameOf(message.level));
    AppendEscaped({message.payload.data(), message.payload.size()}, out);
    out.push_back('"');
    for (const auto& [name, value] : fields_now) {
      if (value.empty()) continue;
      fmt::format_to(std::back_inserter(out), R"(,"{}":")", name);
      AppendEscaped(value, out);
      out.push_back('"');
    }
    out.push_back('}');
    out.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

void SetUpLog(LogFormat format) {
  if (format == LogFormat::kJson) {
    spdlog::set_formatter(std::make_unique<JsonFormatter>());
  } else {
    spdlog::set_formatter(std::make_unique<TextFormatter>());
  }
}

void Log(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  fields_now = fields;
  spdlog::log(LevelOf(level), "{}", message);
  fields_now = {};
}

int64_t LogLimit::Admit(const std::string& kind, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  Kind& known = kinds_[kind];
  if (now_ns - known.begun_ns >= period_ns_) {
    known.begun_ns = now_ns;
    known.lines = 0;
  }
  if (known.lines >= lines_) {
    ++known.left_out;
    return -1;
  }
  ++known.lines;
  return std::exchange(known.left_out, 0);
}

}  // namespace sluice::observability
