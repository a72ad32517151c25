#include "server/ingest/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "server/ingest/utf8.h"

namespace sluice::ingest {
namespace {

// Causes that are counted apart while points come. Those beyond are counted by reason.
constexpr size_t kMaxCauses = 1000;

// A name or value, with backslashes before what would end it.
void PutEscaped(std::string_view text, std::string_view special, std::string& out) {
  for (char c : text.substr(0, kMaxExcerptBytes)) {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
}

void PutValue(const Field& field, std::string& out) {
  switch (field.type) {
    case FieldType::kFloat:
      out += fmt::format("{}", std::bit_cast<double>(field.bits));
      break;
    case FieldType::kInteger:
      out += fmt::format("{}i", field.bits);
      break;
    case FieldType::kUnsigned:
      out += fmt::format("{}u", static_cast<uint64_t>(field.bits));
      break;
    case FieldType::kString:
      out += '"';
      PutEscaped(field.text, "\"\\", out);
      out += '"';
      break;
    case FieldType::kBoolean:
      out += field.bits != 0 ? "true" : "false";
      break;
  }
}

std::string ValidUtf8(std::string text) {
  if (IsUtf8(text)) return text;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) < 0; }, '?');
  return text;
}

void SortByCount(std::vector<RejectionCount>& counts) {
  std::sort(counts.begin(), counts.end(), [](const RejectionCount& a, const RejectionCount& b) {
    return std::tuple(-a.count, a.first_index) < std::tuple(-b.count, b.first_index);
  });
}

// Leaves as many as are told, of which the last ones count what is left by reason.
void Fold(std::vector<RejectionCount>& counts) {
  const auto rest = counts.begin() + (kMaxRejectionCounts - kReasons);
  const std::vector<RejectionCount> folded(rest, counts.end());
  counts.erase(rest, counts.end());
  for (const RejectionCount& count : folded) {
    const auto same = std::find_if(counts.begin(), counts.end(), [&](const RejectionCount& other) {
      return other.reason == count.reason && other.table.empty() && other.column.empty();
    });
    if (same == counts.end()) {
      counts.push_back(count);
      counts.back().table.clear();
      counts.back().column.clear();
      continue;
    }
    RejectionCount& to = *same;
    to.count += count.count;
    to.first_index = std::min(to.first_index, count.first_index);
  }
  SortByCount(counts);
}

}  // namespace

std::string ExcerptOf(const Point& point) {
  std::string line;
  PutEscaped(point.table, ", ", line);
  for (const Tag& tag : point.tags) {
    if (line.size() > kMaxExcerptBytes) break;
    line += ',';
    PutEscaped(tag.key, ",= ", line);
    line += '=';
    PutEscaped(tag.value, ",= ", line);
  }
  char before = ' ';
  for (const Field& field : point.fields) {
    if (line.size() > kMaxExcerptBytes) break;
    line += std::exchange(before, ',');
    PutEscaped(field.key, ",= ", line);
    line += '=';
    PutValue(field, line);
  }
  if (point.timestamp) line += fmt::format(" {}", *point.timestamp);
  return ValidUtf8(std::string(CutUtf8(line, kMaxExcerptBytes)));
}

void Tally::Reject(PointSource& points, bool unreadable, Objection objection) {
  const int64_t index = index_++;
  ++outcome_.rejected;
  const auto delta = static_cast<uint32_t>(index - std::exchange(last_rejected_, index));
  if (outcome_.rejected <= kMaxToldIndexes) outcome_.rejected_index_deltas.push_back(delta);
  const Point& point = points.point();
  const std::string table = ValidUtf8(std::string(CutUtf8(point.table, kMaxShownNameBytes)));
  Count(objection.reason, table, objection.column, index);
  if (outcome_.rejections.size() == telling_.max_rejections || told_bytes_ > telling_.max_bytes) {
    return;
  }
  Rejection rejection;
  rejection.place = {.index = index, .line = points.line()};
  rejection.reason = objection.reason;
  rejection.unreadable = unreadable;
  rejection.message = Disarm(std::move(objection.message));
  rejection.table = table;
  rejection.column = std::move(objection.column);
  rejection.excerpt = points.text().empty() ? ExcerptOf(point)
                                            : std::string(CutUtf8(points.text(), kMaxExcerptBytes));
  told_bytes_ += sizeof(Rejection) + rejection.message.size() + rejection.excerpt.size() +
                 rejection.table.size() + rejection.column.size();
  outcome_.rejections.push_back(std::move(rejection));
}

void Tally::Count(Reason reason, const std::string& table, const std::string& column,
                  int64_t index) {
  std::tuple<Reason, std::string, std::string> cause(reason, table, column);
  if (counts_.size() >= kMaxCauses && !counts_.contains(cause)) cause = {reason, "", ""};
  RejectionCount& count = counts_
                              .try_emplace(cause, RejectionCount{.reason = reason,
                                                                 .table = std::get<1>(cause),
                                                                 .column = std::get<2>(cause),
                                                                 .first_index = index})
                              .first->second;
  ++count.count;
}

Outcome Tally::Take() {
  if (outcome_.rejected > kMaxToldIndexes) outcome_.rejected_index_deltas = {};
  std::vector<RejectionCount>& counts = outcome_.counts;
  for (auto& [cause, count] : counts_) counts.push_back(std::move(count));
  counts_.clear();
  SortByCount(counts);
  if (counts.size() > kMaxRejectionCounts) Fold(counts);
  return std::move(outcome_);
}

}  // namespace sluice::ingest
