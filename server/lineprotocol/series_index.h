#ifndef SLUICE_SERVER_LINEPROTOCOL_SERIES_INDEX_H_
#define SLUICE_SERVER_LINEPROTOCOL_SERIES_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "server/lineprotocol/line.h"

namespace sluice::lineprotocol {

// The series of a body, by the text of their measurement and tags. A text that was seen before is
// recognised as a whole, without being taken apart: by what followed the same series the last time,
// or else by its hash. Texts must outlive it. For one thread.
class SeriesIndex {
 public:
  // The number of the series that `text` begins with, up to a space, or kNoNumber where it is not
  // recognised or is not plain: escapes, control characters, '=' in a value or ',' in a key are
  // left to others. The number is new where the series is.
  uint32_t Recognize(std::string_view text);

  std::string_view text(uint32_t series) const { return series_[series].text; }
  std::string_view measurement(uint32_t series) const {
    return text(series).substr(0, series_[series].measurement_size);
  }
  std::span<const Tag> tags(uint32_t series) const {
    return std::span(tags_).subspan(series_[series].tags_begin, series_[series].tag_count);
  }

  // A number that series have in common whose measurement and tag keys are the same, mostly: it is
  // compared with the last one of the measurement only.
  uint32_t tag_keys(uint32_t series) const { return series_[series].tag_keys; }

  // The shape of the fields that the series last had, or else the last one of its measurement.
  uint32_t shape(uint32_t series) const { return series_[series].shape; }
  void set_shape(uint32_t series, uint32_t shape);

 private:
  struct Series {
    std::string_view text;
    size_t measurement_size;
    size_t tags_begin;
    size_t tag_count;
    uint32_t tag_keys;
    // What followed it the last time.
    uint32_t next = kNoNumber;
    uint32_t shape = kNoNumber;
  };
  struct Slot {
    uint32_t hash = 0;
    // Number plus one; zero means free.
    uint32_t number = 0;
  };
  // What the last series of a measurement was like.
  struct Last {
    std::string_view measurement;
    uint32_t series = kNoNumber;
    uint32_t shape = kNoNumber;
  };

  uint32_t Find(std::string_view text);
  uint32_t Add(std::string_view text);
  void Grow();
  bool HasKeysOf(uint32_t series, std::span<const Tag> tags) const;
  Last& LastOf(std::string_view measurement);

  std::vector<Series> series_;
  std::vector<Tag> tags_;
  // Open addressing, a power of two, at most half full.
  std::vector<Slot> slots_;
  // For the measurements met last, by hash.
  std::vector<Last> lasts_;
  uint32_t last_ = kNoNumber;
  std::vector<uint32_t> delimiters_;
};

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_SERIES_INDEX_H_
