#include "client/cli/write.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "client/cli/print.h"
#include "server/lineprotocol/line_reader.h"

namespace sluice::client {
namespace {

// One chunk is one batch: they are numbered, and the same when the file is read again.
constexpr size_t kChunkBytes = size_t{512} << 10;
constexpr size_t kBufferBytes = size_t{32} << 20;
constexpr size_t kShownLines = 3;
// What no server is sent in one request.
constexpr size_t kMaxRequestBytes = size_t{256} << 20;
// Is another one when the same file would be cut into other chunks.
constexpr int kChunksVersion = 1;
constexpr absl::Duration kLastPatience = absl::Seconds(5);
constexpr absl::Duration kShowPeriod = absl::Milliseconds(200);
constexpr char kSyntax[] = "SYNTAX";
constexpr size_t kExcerptBytes = 200;

// Line ends would look like lines of the summary.
std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// All rejections, by reason, and the first lines of each.
class Summary {
 public:
  struct Line {
    int64_t number = 0;
    std::string message;
    std::string excerpt;
  };

  void Add(const std::string& reason, int64_t count) {
    std::lock_guard lock(mutex_);
    reasons_[reason].count += count;
    rejected_ += count;
  }
  void Show(const std::string& reason, Line line) {
    std::lock_guard lock(mutex_);
    std::vector<Line>& lines = reasons_[reason].lines;
    if (lines.size() < kShownLines) lines.push_back(std::move(line));
  }
  int64_t rejected() const {
    std::lock_guard lock(mutex_);
    return rejected_;
  }
  void Print() const {
    std::lock_guard lock(mutex_);
    for (const auto& [reason, told] : reasons_) {
      client::Print(fmt::format("{}: {}", reason, told.count));
      for (const Line& line : told.lines) {
        client::Print(fmt::format("  line {}: {}", line.number, line.message));
        if (!line.excerpt.empty()) client::Print("    " + OneLine(line.excerpt));
      }
    }
  }

 private:
  struct Told {
    int64_t count = 0;
    std::vector<Line> lines;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Told> reasons_;
  int64_t rejected_ = 0;
};

std::string ShowBytes(int64_t bytes) {
  const double mb = static_cast<double>(bytes) / 1e6;
  return mb < 1000 ? fmt::format("{:.1f} MB", mb) : fmt::format("{:.2f} GB", mb / 1000);
}

// How far it is: a line that stays, on a terminal, or one now and then.
class Progress {
 public:
  explicit Progress(const Input& input) : input_(input), is_terminal_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (is_terminal_ && has_shown_) std::fputs("\r\x1b[K", stderr);
  }

  // `trouble` is empty where the server answers.
  void Show(int64_t points, int64_t rejected, const std::string& trouble = "") {
    const absl::Time now = absl::Now();
    if (now < next_) return;
    next_ = now + (is_terminal_ ? absl::Milliseconds(200) : absl::Seconds(5));
    has_shown_ = true;
    const double seconds = absl::ToDoubleSeconds(now - start_);
    const int64_t bytes = input_.stored_bytes();
    std::string text =
        fmt::format("{} points, {} rejected, {}", points, rejected, ShowBytes(bytes));
    const std::optional<int64_t> all = input_.all_stored_bytes();
    if (!trouble.empty()) {
      text += "; " + trouble;
    } else if (seconds > 0) {
      text += fmt::format(", {:.0f} points/s", static_cast<double>(points) / seconds);
    }
    if (trouble.empty() && all && *all > 0 && bytes > 0) {
      const double part = static_cast<double>(bytes) / static_cast<double>(*all);
      text += fmt::format(", {:.0f} %, {} left", 100 * part,
                          absl::FormatDuration(absl::Trunc(
                              absl::Seconds(seconds * (1 - part) / part), absl::Seconds(1))));
    }
    const std::string line = is_terminal_ ? "\r\x1b[K" + text : text + "\n";
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  }

 private:
  const Input& input_;
  const bool is_terminal_;
  bool has_shown_ = false;
  const absl::Time start_ = absl::Now();
  absl::Time next_ = start_ + absl::Seconds(1);
};

// Where the chunks that are under way came from.
class Origins {
 public:
  void Add(uint64_t cookie, Chunk chunk) {
    chunk.text.clear();
    chunk.text.shrink_to_fit();
    std::lock_guard lock(mutex_);
    chunks_.emplace(cookie, std::move(chunk));
  }
  int64_t LineInFile(uint64_t cookie, int64_t line) const {
    std::lock_guard lock(mutex_);
    const auto found = chunks_.find(cookie);
    return found == chunks_.end() ? 0 : found->second.LineInFile(line);
  }
  // Chunks are answered in their order.
  void RemoveFirst() {
    std::lock_guard lock(mutex_);
    if (!chunks_.empty()) chunks_.erase(chunks_.begin());
  }

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, Chunk> chunks_;
};

// Whether the server is there.
class Presence {
 public:
  void Take(const WriterEvent& event) {
    std::lock_guard lock(mutex_);
    if (event.kind == WriterEvent::Kind::kConnected) {
      away_since_.reset();
    } else if (event.kind == WriterEvent::Kind::kDisconnected) {
      if (!away_since_) away_since_ = absl::Now();
      why_ = OneLine(std::string(event.status.message()));
    }
  }
  std::string Trouble() const {
    std::lock_guard lock(mutex_);
    if (!away_since_) return "";
    return fmt::format("no server for {:.0f} s, trying again ({})",
                       absl::ToDoubleSeconds(absl::Now() - *away_since_), why_);
  }

 private:
  mutable std::mutex mutex_;
  std::optional<absl::Time> away_since_;
  std::string why_;
};

// What is in a chunk that was written before, and can be said without the server.
void TellBadSyntax(const Chunk& chunk, Summary& summary) {
  lineprotocol::LineReader reader(chunk.text);
  while (reader.Next()) {
    if (!reader.fault()) continue;
    summary.Add(kSyntax, 1);
    summary.Show(kSyntax,
                 {chunk.LineInFile(reader.LineNumber()), lineprotocol::Text(*reader.fault()),
                  std::string(reader.text().substr(0, kExcerptBytes))});
  }
}

void TellBadLines(const Chunk& chunk, Summary& summary) {
  for (const Chunk::BadLine& bad : chunk.bad_lines) {
    summary.Add(bad.reason, 1);
    summary.Show(bad.reason, {bad.line, bad.message, bad.excerpt});
  }
}

bool IsStopped(const WriteCommand& command) { return command.stop != nullptr && *command.stop; }

// What the server would say of a chunk by itself.
absl::Status Judge(const WriteCommand& command, Client& client, const Chunk& chunk,
                   Summary& summary, int64_t& points) {
  if (!HoldsPoints(chunk.text)) return absl::OkStatus();
  const absl::StatusOr<Verdict> verdict =
      client.Validate(command.database, chunk.text, command.precision);
  if (!verdict.ok()) return verdict.status();
  points += verdict->accepted_points;
  for (const auto& [reason, count] : verdict->rejections) summary.Add(reason, count);
  for (const PointError& error : verdict->errors) {
    summary.Show(error.reason, {chunk.LineInFile(error.line ? error.line->number : 0),
                                error.message, error.excerpt});
  }
  return absl::OkStatus();
}

absl::Status JudgeFile(const WriteCommand& command, Client& client, Chunks& chunks,
                       Progress& progress, Summary& summary, int64_t& points) {
  while (true) {
    if (IsStopped(command)) return absl::CancelledError("interrupted");
    absl::StatusOr<std::optional<Chunk>> chunk = chunks.Next();
    if (!chunk.ok()) return chunk.status();
    if (!*chunk) return absl::OkStatus();
    TellBadLines(**chunk, summary);
    absl::Status judged = Judge(command, client, **chunk, summary, points);
    if (!judged.ok()) return judged;
    progress.Show(points, summary.rejected());
  }
}

// Whether points are why a write failed.
bool IsRejection(const absl::Status& status) { return ReasonOf(status) == "LINES_REJECTED"; }

absl::Status WriteAtOnce(const WriteCommand& command, Client& client, Chunks& chunks,
                         Summary& summary, int64_t& points) {
  Chunk all;
  while (true) {
    absl::StatusOr<std::optional<Chunk>> chunk = chunks.Next();
    if (!chunk.ok()) return chunk.status();
    if (!*chunk) break;
    TellBadLines(**chunk, summary);
    all.text += (*chunk)->text;
    all.lines.insert(all.lines.end(), (*chunk)->lines.begin(), (*chunk)->lines.end());
    if (all.text.size() > kMaxRequestBytes) {
      return absl::ResourceExhaustedError(
          "all of it or nothing can be written only of what fits into one request");
    }
  }
  int64_t would_be_in = 0;
  if (summary.rejected() > 0) return Judge(command, client, all, summary, would_be_in);
  if (!HoldsPoints(all.text)) return absl::OkStatus();
  const auto written = client.Write(
      command.database, all.text,
      {.precision = command.precision, .accept_partial = false, .no_sync = command.no_sync});
  if (IsRejection(written.status())) return Judge(command, client, all, summary, would_be_in);
  if (written.ok()) points = written->ingested_points;
  return written.status();
}

uint32_t HashOf(const std::string& text) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

// What the batches are numbered under: another one wherever they would be others. A file that has
// changed is written from its beginning, for nothing says which of its points are new.
// `columns` are what those of a CSV are taken for.
std::string WriterIdOf(const WriteCommand& command, const Input& input,
                       const std::string& columns) {
  std::string options =
      fmt::format("{} {} {}", kChunksVersion, kChunkBytes, static_cast<int>(command.precision));
  if (command.csv) {
    const CsvFormat& csv = *command.csv;
    // Each with its length, for none to be taken for a part of another.
    for (const std::vector<std::string>& texts :
         {std::vector{csv.table, csv.time, std::string(1, csv.separator), columns}, csv.tags,
          csv.nulls}) {
      options += fmt::format(" {}", texts.size());
      for (const std::string& text : texts) options += fmt::format(" {}:{}", text.size(), text);
    }
  }
  return fmt::format("{}-{:08x}{:08x}", command.resume_id, HashOf(input.identity()),
                     HashOf(options));
}

absl::Status Stream(const WriteCommand& command, const std::string& writer_id, Chunks& chunks,
                    const Input& input, Progress& progress, Summary& summary, int64_t& points,
                    int64_t& skipped) {
  Origins origins;
  Presence presence;
  std::atomic<int64_t> written = 0;
  WriterOptions options{.database = command.database,
                        .token = command.token,
                        .token_source = command.token_source,
                        .tls = command.tls,
                        .batch_bytes = 1,
                        .max_buffer_bytes = kBufferBytes,
                        // For something to be shown now and then.
                        .block_timeout = kShowPeriod,
                        .delivery_timeout = command.patience,
                        .no_sync = command.no_sync,
                        .precision = command.precision,
                        .writer_id = writer_id};
  options.on_written = [&](const BatchResult& batch) {
    written += batch.written_points;
    for (const auto& [reason, count] : batch.rejections) summary.Add(reason, count);
    origins.RemoveFirst();
  };
  options.on_rejected = [&](const RejectedPoint& point) {
    if (point.message.empty()) return;
    summary.Show(std::string(point.reason),
                 {origins.LineInFile(point.cookie, point.line), std::string(point.message),
                  std::string(point.excerpt)});
  };
  options.on_event = [&](const WriterEvent& event) { presence.Take(event); };
  Writer writer(command.server, std::move(options));
  const auto show = [&] { progress.Show(written, summary.rejected(), presence.Trouble()); };
  // There is no use in going on.
  const auto is_hopeless = [&] {
    const WriterReport report = writer.report();
    return report.dropped + report.unknown > 0;
  };
  int64_t done = -1;
  if (!writer_id.empty()) {
    const auto last = writer.ResumeFrom(command.patience);
    if (!last.ok()) return last.status();
    done = last->value_or(-1);
  }
  absl::Status status;
  for (int64_t number = 0; status.ok() && !is_hopeless() && !IsStopped(command); ++number) {
    absl::StatusOr<std::optional<Chunk>> chunk = chunks.Next();
    status = chunk.status();
    if (!status.ok() || !*chunk) break;
    TellBadLines(**chunk, summary);
    if (!HoldsPoints((*chunk)->text)) {
      // It is no batch, and so has no number.
      --number;
      continue;
    }
    if (number <= done) {
      TellBadSyntax(**chunk, summary);
      skipped = input.stored_bytes();
      continue;
    }
    const std::string text = std::move((*chunk)->text);
    origins.Add(static_cast<uint64_t>(number), *std::move(*chunk));
    do {
      status = writer.AddLines(text, static_cast<uint64_t>(number));
      show();
    } while (absl::IsResourceExhausted(status) && !is_hopeless() && !IsStopped(command));
    if (absl::IsResourceExhausted(status)) status = absl::OkStatus();
  }
  // What has been taken goes on its way, whatever the file was.
  while (status.ok() && !is_hopeless() && !IsStopped(command) &&
         absl::IsDeadlineExceeded(writer.Flush(kShowPeriod))) {
    show();
  }
  const bool is_in_haste = is_hopeless() || IsStopped(command);
  const WriterReport report = writer.Close(is_in_haste ? kLastPatience : command.patience);
  points = report.written;
  if (IsStopped(command)) {
    status = absl::CancelledError(
        writer_id.empty() ? "interrupted" : "interrupted; the same command goes on where it was");
  }
  if (report.complete()) return status;
  if (absl::IsDeadlineExceeded(status) || status.ok()) status = report.last_error;
  if (status.ok()) status = absl::UnavailableError("the server did not answer");
  return WithMessage(
      status, fmt::format("{}; {} points that were read were not written and {} may have been; to "
                          "write the file again does no harm where its points have timestamps",
                          std::string(status.message()), report.dropped, report.unknown));
}

// What a table's columns are is not to be guessed.
CsvFormat WithKnownColumns(CsvFormat format, const WriteCommand& command, Client& client) {
  const auto columns = client.DescribeTable(command.database, format.table);
  // Where it is not there yet, or may not be looked at.
  if (!columns.ok()) return format;
  for (const Column& column : *columns) format.known[column.name] = column.type;
  return format;
}

}  // namespace

absl::Status WriteFile(const WriteCommand& command, Client& client, int64_t& rejected) {
  absl::StatusOr<std::unique_ptr<Input>> input = Input::Open(command.file, command.stop);
  if (!input.ok()) return input.status();
  const bool is_resumed = !command.resume_id.empty();
  if (is_resumed && (*input)->identity().empty()) {
    return absl::InvalidArgumentError(
        "--resume-id is for a file, which can be read again; this is a pipe or a terminal");
  }
  std::unique_ptr<Chunks> chunks;
  std::string columns;
  if (command.csv) {
    auto csv = std::make_unique<CsvChunks>(
        **input, kChunkBytes, WithKnownColumns(*command.csv, command, client), is_resumed);
    absl::Status begun = csv->Begin();
    if (!begun.ok()) return begun;
    columns = csv->ShowColumns();
    fmt::print(stderr, "columns: {}{}\n", OneLine(columns),
               csv->HasGuessed() ? " (by their first values where nothing else is known; NAME:TYPE "
                                   "in the header says otherwise)"
                                 : "");
    chunks = std::move(csv);
  } else {
    chunks = std::make_unique<LineChunks>(**input, kChunkBytes, is_resumed);
  }
  const std::string writer_id = is_resumed ? WriterIdOf(command, **input, columns) : "";
  Summary summary;
  int64_t points = 0;
  int64_t skipped = 0;
  absl::Status status;
  const absl::Time start = absl::Now();
  {
    Progress progress(**input);
    if (command.dry_run) {
      status = JudgeFile(command, client, *chunks, progress, summary, points);
    } else if (command.accept_partial) {
      status = Stream(command, writer_id, *chunks, **input, progress, summary, points, skipped);
    } else {
      status = WriteAtOnce(command, client, *chunks, summary, points);
    }
  }
  rejected = summary.rejected();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (command.dry_run) {
    Print(fmt::format("nothing written: {} points would be ingested, {} lines rejected", points,
                      rejected));
  } else {
    Print(fmt::format("{} points ingested, {} lines rejected, {} in {:.1f} s ({:.0f} points/s)",
                      points, rejected, ShowBytes((*input)->stored_bytes()), seconds,
                      seconds > 0 ? static_cast<double>(points) / seconds : 0));
  }
  if (skipped > 0) {
    Print(fmt::format(
        "the first {} had been written before, under the same --resume-id; lines of it that cannot "
        "be read are among the rejected, those that were rejected for their types or by limits are "
        "not: the server keeps the last of them (sluice rejections tail {})",
        ShowBytes(skipped), command.database));
  }
  summary.Print();
  if (status.ok() && points + rejected + skipped == 0) {
    return absl::InvalidArgumentError("the file holds no point");
  }
  return status;
}

}  // namespace sluice::client
