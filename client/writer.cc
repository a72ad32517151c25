#include "client/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/writer_core.h"

namespace sluice::client {
namespace {

constexpr size_t kMaxTags = 4'095;

}  // namespace

Writer::Writer(const std::string& address, WriterOptions options)
    : core_(std::make_unique<Core>(address, std::move(options))) {}

Writer::~Writer() = default;

absl::StatusOr<Series> Writer::AddSeries(std::string_view table, std::span<const TagView> tags) {
  auto names = std::make_shared<Series::Names>();
  if (table.empty()) return absl::InvalidArgumentError("a table has a name");
  names->table = table;
  for (const TagView& tag : tags) {
    if (tag.key.empty()) return absl::InvalidArgumentError("a tag has an empty key");
    if (tag.key == "time") {
      return absl::InvalidArgumentError("no tag is called 'time', which is the timestamp's column");
    }
    if (!tag.value.empty()) names->tags.emplace_back(tag.key, tag.value);
  }
  std::sort(names->tags.begin(), names->tags.end());
  const auto same =
      std::adjacent_find(names->tags.begin(), names->tags.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same != names->tags.end()) {
    return absl::InvalidArgumentError(fmt::format("the tag '{}' is there twice", same->first));
  }
  if (names->tags.size() > kMaxTags) {
    return absl::InvalidArgumentError(fmt::format("a point has at most {} tags", kMaxTags));
  }
  return Series(std::move(names));
}

absl::Status Writer::Add(const Series& series, absl::Time time, std::span<const FieldView> fields,
                         uint64_t cookie) {
  const int64_t time_ns = absl::ToUnixNanos(time);
  if (absl::AbsDuration(time - absl::FromUnixNanos(time_ns)) >= absl::Nanoseconds(1)) {
    return absl::InvalidArgumentError("the time does not fit into 64 bits of nanoseconds");
  }
  if (series.names_ == nullptr) {
    return absl::InvalidArgumentError("the series is none: AddSeries makes one");
  }
  if (core_->precision() != Precision::kNanosecond) {
    return absl::InvalidArgumentError(
        "a writer with another precision than nanoseconds takes lines");
  }
  return core_->Add(series, time_ns, fields, cookie);
}

absl::Status Writer::AddLines(std::string_view lines, uint64_t cookie) {
  return core_->AddLines(lines, cookie);
}

absl::Status Writer::Flush(absl::Duration timeout) { return core_->Flush(timeout); }

WriterReport Writer::Close(absl::Duration timeout) { return core_->Close(timeout); }

WriterReport Writer::report() const { return core_->report(); }

absl::StatusOr<std::optional<int64_t>> Writer::ResumeFrom(absl::Duration timeout) {
  return core_->ResumeFrom(timeout);
}

}  // namespace sluice::client
