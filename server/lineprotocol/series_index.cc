#include "server/lineprotocol/series_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <random>

#include "server/lineprotocol/scan.h"
#include "storage/same_bytes.h"

namespace sluice::lineprotocol {
namespace {

// Bounds on what a body can make this remember; series beyond are not recognised.
constexpr size_t kMaxSeries = 65536;
constexpr size_t kMaxTags = 1 << 20;
constexpr size_t kMaxTextBytes = 64 << 10;
constexpr size_t kFirstSlots = 64;
// That nobody knows: else someone could send series that all have one hash.
const uint64_t kSeed = std::random_device()() | uint64_t{std::random_device()()} << 32;
// Measurements whose last series is remembered.
constexpr size_t kLasts = 64;

}  // namespace

uint32_t SeriesIndex::Recognize(std::string_view text) {
  const uint32_t guess = last_ == kNoNumber ? kNoNumber : series_[last_].next;
  if (guess != kNoNumber) {
    std::string_view known = series_[guess].text;
    if (text.size() > known.size() && text[known.size()] == ' ' &&
        storage::SameBytes(text.data(), known.data(), known.size())) {
      return last_ = guess;
    }
  }
  const size_t end = FindSeriesEnd(text);
  bool plain = end > 0 && end < text.size() && text[end] == ' ' && text[0] != '#';
  if (!plain || end > kMaxTextBytes) return kNoNumber;
  const uint32_t series = Find(text.substr(0, end));
  if (series == kNoNumber) return kNoNumber;
  if (last_ != kNoNumber) series_[last_].next = series;
  return last_ = series;
}

uint32_t SeriesIndex::Find(std::string_view text) {
  if (slots_.size() < 2 * (series_.size() + 1)) Grow();
  const uint32_t hash =
      static_cast<uint32_t>(XXH3_64bits_withSeed(text.data(), text.size(), kSeed));
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.number == 0) {
      const uint32_t series = Add(text);
      if (series != kNoNumber) slot = {hash, series + 1};
      return series;
    }
    if (slot.hash == hash && series_[slot.number - 1].text == text) return slot.number - 1;
  }
}

// Takes `text` apart. Delimiters have to take turns: then none of them is part of a name.
uint32_t SeriesIndex::Add(std::string_view text) {
  if (series_.size() == kMaxSeries || tags_.size() >= kMaxTags) return kNoNumber;
  FindDelimiters(text, delimiters_);
  if (delimiters_.size() % 2 != 0) return kNoNumber;
  const size_t measurement_size = delimiters_.empty() ? text.size() : delimiters_[0];
  if (measurement_size == 0) return kNoNumber;
  const size_t tags_begin = tags_.size();
  delimiters_.push_back(static_cast<uint32_t>(text.size()));
  for (size_t i = 0; i + 1 < delimiters_.size(); i += 2) {
    const size_t comma = delimiters_[i];
    const size_t equals = delimiters_[i + 1];
    const size_t end = delimiters_[i + 2];
    if (text[comma] != ',' || text[equals] != '=' || equals == comma + 1 || end == equals + 1) {
      tags_.resize(tags_begin);
      return kNoNumber;
    }
    tags_.push_back(
        {text.substr(comma + 1, equals - comma - 1), text.substr(equals + 1, end - equals - 1)});
  }
  const uint32_t number = static_cast<uint32_t>(series_.size());
  Last& last = LastOf(text.substr(0, measurement_size));
  const bool same_keys =
      last.series != kNoNumber && HasKeysOf(last.series, std::span(tags_).subspan(tags_begin));
  // A number of a series serves as well for the keys that it is the first to have.
  const uint32_t tag_keys = same_keys ? series_[last.series].tag_keys : number;
  series_.push_back({text, measurement_size, tags_begin, tags_.size() - tags_begin, tag_keys,
                     kNoNumber, last.shape});
  last.series = number;
  return number;
}

bool SeriesIndex::HasKeysOf(uint32_t series, std::span<const Tag> tags) const {
  return std::equal(tags.begin(), tags.end(), this->tags(series).begin(), this->tags(series).end(),
                    [](const Tag& a, const Tag& b) { return storage::SameText(a.key, b.key); });
}

void SeriesIndex::Grow() {
  std::vector<Slot> old(std::max(kFirstSlots, 4 * slots_.size()));
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.number == 0) continue;
    size_t i = slot.hash & mask;
    while (slots_[i].number != 0) i = (i + 1) & mask;
    slots_[i] = slot;
  }
}

// Of that measurement, or one that takes the place of another.
SeriesIndex::Last& SeriesIndex::LastOf(std::string_view measurement) {
  if (lasts_.empty()) lasts_.resize(kLasts);
  const uint64_t hash = XXH3_64bits(measurement.data(), measurement.size());
  Last& last = lasts_[hash % kLasts];
  if (last.measurement != measurement) last = {measurement, kNoNumber, kNoNumber};
  return last;
}

void SeriesIndex::set_shape(uint32_t series, uint32_t shape) {
  if (series_[series].shape == shape) return;
  series_[series].shape = shape;
  LastOf(measurement(series)).shape = shape;
}

}  // namespace sluice::lineprotocol
