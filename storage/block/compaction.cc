#include "storage/block/compaction.h"

#include <algorithm>
#include <boost/sort/spreadsort/integer_sort.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "storage/batch.h"
#include "storage/block/series_key.h"

namespace sluice::storage {
namespace {

// Enough to compress well and to need few directories, few enough to be decoded for one series.
constexpr size_t kMergedBlockRows = 8192;
// Decoded; fewer rows where they are long, for a query has to hold a block as a whole.
constexpr size_t kMergedBlockBytes = size_t{16} << 20;

// A set's tags, by position in the dictionaries of all tags plus one; 0 is no tag.
using Code = uint32_t;

// What has a place in an order that a number gives.
struct Item {
  uint64_t key;
  uint32_t position;
};

// By key. A merge of series that are all different sorts millions; a radix sort does it in a third
// of the time.
void SortByKey(std::span<Item> items) {
  boost::sort::spreadsort::integer_sort(
      items.begin(), items.end(),
      [](const Item& item, unsigned shift) { return item.key >> shift; },
      [](const Item& a, const Item& b) { return a.key < b.key; });
}

// Calls `f` with the items of each key, where they are sorted by it.
template <typename F>
void ForEachKey(std::span<Item> items, F f) {
  while (!items.empty()) {
    size_t count = 1;
    while (count < items.size() && items[count].key == items[0].key) ++count;
    f(items.first(count));
    items = items.subspan(count);
  }
}

size_t CommonPrefix(const StringList& texts) {
  std::string_view prefix = texts.size() == 0 ? std::string_view() : texts[0];
  for (size_t i = 1; i < texts.size() && !prefix.empty(); ++i) {
    const std::string_view text = texts[i];
    const auto end = std::mismatch(prefix.begin(), prefix.end(), text.begin(), text.end()).first;
    prefix = prefix.substr(0, static_cast<size_t>(end - prefix.begin()));
  }
  return prefix.size();
}

// The place of each text in their order.
std::vector<uint32_t> RanksOf(const StringList& texts) {
  // The first eight bytes in which they differ, as a number that sorts as these do: mostly nothing
  // else is compared.
  const size_t begin = CommonPrefix(texts);
  std::vector<Item> items;
  items.reserve(texts.size());
  for (uint32_t i = 0; i < texts.size(); ++i) {
    const std::string_view text = texts[i];
    uint64_t key = 0;
    for (size_t byte = begin; byte < begin + sizeof(key); ++byte) {
      key = key << 8 | (byte < text.size() ? static_cast<uint8_t>(text[byte]) : 0);
    }
    items.push_back({key, i});
  }
  SortByKey(items);
  ForEachKey(items, [&texts](std::span<Item> alike) {
    std::sort(alike.begin(), alike.end(), [&texts](const Item& a, const Item& b) {
      return texts[a.position] < texts[b.position];
    });
  });
  std::vector<uint32_t> ranks(texts.size());
  for (uint32_t rank = 0; rank < items.size(); ++rank) ranks[items[rank].position] = rank;
  return ranks;
}

// One merge. Steps go in the order in which they are declared.
class Compaction {
 public:
  Compaction(const TableSchema& table, std::span<const Block> blocks, int64_t min_time_ns)
      : table_(table),
        blocks_(blocks),
        min_time_ns_(min_time_ns),
        tag_columns_(TagColumns(table)),
        tags_(tag_columns_.size()),
        codes_(tag_columns_.size()) {}

  // Gives the tag sets of all blocks codes.
  absl::Status ReadSets();
  // Finds each set's place in the order of sets; equal ones have the same.
  void OrderSets();
  // Sorts the rows by set and time, and finds the writes of one point.
  absl::Status OrderRows();
  absl::StatusOr<std::vector<EncodedBlock>> Write();

 private:
  // One of the blocks to be made: points [first, last) and the sets that they have.
  struct Part {
    size_t first;
    size_t last;
    // By place in the order of sets.
    std::vector<uint32_t> places;
    BlockEncoder encoder{Packing::kDense};
  };

  absl::Status ReadSetsOf(const Block& block);
  // Of one tag, by place in the order of sets.
  std::vector<Code> CodesByPlace(size_t tag) const;
  struct BlockCodes {
    size_t first_set;
    std::vector<Code> codes;
  };

  absl::StatusOr<BlockColumn> Decode(const Block& block, size_t column) const;
  void SortByTime(size_t begin, size_t end);
  void Divide();
  void WriteTag(size_t tag, std::span<const Code> codes, Part& part);
  absl::Status WriteNumbers(size_t column);
  absl::Status WriteStrings(size_t column);
  // The last write of the point that has a value, where `has` tells of a row whether it does.
  template <typename Has>
  std::optional<uint32_t> LastWith(size_t point, Has has) const {
    for (size_t i = EndOf(point); i > points_[point]; --i) {
      if (has(rows_[i - 1])) return rows_[i - 1];
    }
    return std::nullopt;
  }
  size_t EndOf(size_t point) const {
    return point + 1 < points_.size() ? points_[point + 1] : rows_.size();
  }

  const TableSchema& table_;
  const std::span<const Block> blocks_;
  const int64_t min_time_ns_;
  const std::vector<size_t> tag_columns_;

  // Each tag's values in all blocks.
  std::vector<Dictionary> tags_;
  // Sets of all blocks are numbered one after the other; block b's begin at set_begins_[b].
  std::vector<size_t> set_begins_;
  // The place of each set in their order, and how many places there are.
  std::vector<uint32_t> places_;
  size_t place_count_ = 0;
  // For each tag the codes of the sets of those blocks that have it. What a block does not have
  // takes no memory, as it takes none in the block: a table may have hundreds of tags.
  std::vector<std::vector<BlockCodes>> codes_;

  // Rows of all blocks are numbered one after the other; block b's begin at row_begins_[b].
  std::vector<size_t> row_begins_;
  // In the order of sets, time and commits: rows, their times, and where each place begins.
  std::vector<uint32_t> rows_;
  std::vector<int64_t> times_;
  std::vector<size_t> place_begins_;
  // Where each point begins among these.
  std::vector<size_t> points_;
  std::vector<Part> parts_;
  // Of each code of a tag: the position, plus one, in the dictionary of the part that is being
  // written. All are zero in between.
  std::vector<uint32_t> positions_;
  // A column of all rows; kept from one to the next, for memory that is new costs too.
  std::vector<int64_t> numbers_;
};

absl::StatusOr<BlockColumn> Compaction::Decode(const Block& block, size_t column) const {
  std::optional<ColumnType> type = block.TypeOf(column);
  if (type && *type != table_.columns()[column].type) {
    return absl::DataLossError("damaged block: a column of another type than the table's");
  }
  return block.DecodeColumn(column);
}

absl::Status Compaction::ReadSets() {
  set_begins_.push_back(0);
  for (const Block& block : blocks_) {
    absl::Status read = ReadSetsOf(block);
    if (!read.ok()) return read;
    set_begins_.push_back(set_begins_.back() + block.set_count());
  }
  return absl::OkStatus();
}

absl::Status Compaction::ReadSetsOf(const Block& block) {
  std::vector<Code> translated;
  for (size_t tag = 0; tag < tags_.size(); ++tag) {
    absl::StatusOr<BlockColumn> column = Decode(block, tag_columns_[tag]);
    if (!column.ok()) return column.status();
    translated.clear();
    tags_[tag].Intern(column->dictionary(), translated);
    if (translated.empty()) continue;
    const std::vector<int64_t>& present = column->numbers();
    const bool everywhere = present.size() == block.set_count();
    std::vector<Code> codes(block.set_count());
    for (size_t set = 0; set < codes.size(); ++set) {
      const std::optional<size_t> position = everywhere ? set : column->Position(set);
      if (position) codes[set] = translated[static_cast<size_t>(present[*position])] + 1;
    }
    codes_[tag].push_back({set_begins_.back(), std::move(codes)});
  }
  return absl::OkStatus();
}

void Compaction::OrderSets() {
  places_.resize(set_begins_.back());
  std::vector<Item> sets(places_.size());
  // A set's key is its ranks written one behind the other, tag by tag. Where so many tags have so
  // many values that 64 bits do not hold them, the place by those that went in stands for these.
  size_t tag = 0;
  do {
    for (uint32_t set = 0; set < sets.size(); ++set) sets[set] = {places_[set], set};
    uint64_t keys = std::max<size_t>(1, place_count_);
    for (; tag < tags_.size(); ++tag) {
      if (keys > UINT64_MAX / (tags_[tag].strings().size() + 1)) break;
      if (codes_[tag].empty()) continue;
      // By code, so that texts are compared once; 0 is no tag here too.
      std::vector<uint32_t> ranks = {0};
      for (uint32_t rank : RanksOf(tags_[tag].strings())) ranks.push_back(rank + 1);
      keys *= ranks.size();
      for (Item& set : sets) set.key *= ranks.size();
      for (const BlockCodes& block : codes_[tag]) {
        for (size_t i = 0; i < block.codes.size(); ++i) {
          sets[block.first_set + i].key += ranks[block.codes[i]];
        }
      }
    }
    SortByKey(sets);
    place_count_ = 0;
    ForEachKey(sets, [this](std::span<Item> equal) {
      for (const Item& set : equal) places_[set.position] = static_cast<uint32_t>(place_count_);
      ++place_count_;
    });
  } while (tag < tags_.size());
}

// Sets of one place have the same code. Where a block does not have the tag, they have none.
std::vector<Code> Compaction::CodesByPlace(size_t tag) const {
  std::vector<Code> codes(place_count_);
  for (const BlockCodes& block : codes_[tag]) {
    for (size_t i = 0; i < block.codes.size(); ++i) {
      codes[places_[block.first_set + i]] = block.codes[i];
    }
  }
  return codes;
}

absl::Status Compaction::OrderRows() {
  struct Rows {
    std::vector<int64_t> times;
    std::vector<uint32_t> sets;
  };
  std::vector<Rows> blocks;
  std::vector<size_t> ends(place_count_ + 1);
  row_begins_.push_back(0);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    absl::StatusOr<std::vector<int64_t>> times = blocks_[b].DecodeTimestamps();
    if (!times.ok()) return times.status();
    absl::StatusOr<std::vector<uint32_t>> sets = blocks_[b].DecodeSets();
    if (!sets.ok()) return sets.status();
    for (size_t row = 0; row < times->size(); ++row) {
      (*sets)[row] = places_[set_begins_[b] + (*sets)[row]];
      if ((*times)[row] >= min_time_ns_) ++ends[(*sets)[row] + 1];
    }
    row_begins_.push_back(row_begins_.back() + times->size());
    blocks.push_back({*std::move(times), *std::move(sets)});
  }
  // A counting sort; what comes first stays first.
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  place_begins_ = ends;
  rows_.resize(ends.back());
  times_.resize(ends.back());
  for (size_t b = 0; b < blocks.size(); ++b) {
    for (size_t row = 0; row < blocks[b].times.size(); ++row) {
      if (blocks[b].times[row] < min_time_ns_) continue;
      const size_t at = ends[blocks[b].sets[row]]++;
      rows_[at] = static_cast<uint32_t>(row_begins_[b] + row);
      times_[at] = blocks[b].times[row];
    }
  }
  points_.reserve(rows_.size());
  for (size_t place = 0; place < place_count_; ++place) {
    const size_t begin = place_begins_[place];
    const size_t end = place_begins_[place + 1];
    SortByTime(begin, end);
    for (size_t i = begin; i < end; ++i) {
      if (i == begin || times_[i] != times_[i - 1]) points_.push_back(i);
    }
  }
  return absl::OkStatus();
}

void Compaction::SortByTime(size_t begin, size_t end) {
  auto first = times_.begin() + static_cast<ptrdiff_t>(begin);
  auto last = times_.begin() + static_cast<ptrdiff_t>(end);
  if (std::is_sorted(first, last)) return;
  std::vector<std::pair<int64_t, uint32_t>> sorted;
  sorted.reserve(end - begin);
  for (size_t i = begin; i < end; ++i) sorted.emplace_back(times_[i], rows_[i]);
  // Rows of a set are numbered in the order of commits.
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = begin; i < end; ++i) std::tie(times_[i], rows_[i]) = sorted[i - begin];
}

// Lays down which points go into which block.
void Compaction::Divide() {
  size_t place = 0;
  size_t bytes = 0;
  for (const Block& block : blocks_) bytes += block.decoded_bytes();
  const size_t row_bytes = bytes / std::max<size_t>(1, row_begins_.back()) + 1;
  // As many points to a block as it takes for there to be no more blocks than there were. That is
  // never more than a block may have: what went in was within the limit too, and this rounds up.
  const size_t rows = std::max(std::min(kMergedBlockRows, kMergedBlockBytes / row_bytes),
                               (points_.size() + blocks_.size() - 1) / blocks_.size());
  for (size_t first = 0; first < points_.size(); first += rows) {
    const size_t last = std::min(first + rows, points_.size());
    Part part{first, last, {}};
    std::vector<int64_t> times;
    std::vector<int64_t> set_rows;
    for (size_t point = first; point < last; ++point) {
      while (points_[point] >= place_begins_[place + 1]) ++place;
      if (part.places.empty() || part.places.back() != place) {
        part.places.push_back(static_cast<uint32_t>(place));
        set_rows.push_back(0);
      }
      ++set_rows.back();
      times.push_back(times_[points_[point]]);
    }
    part.encoder.AddSortedRows(times, set_rows);
    parts_.push_back(std::move(part));
  }
}

void Compaction::WriteTag(size_t tag, std::span<const Code> codes, Part& part) {
  const StringList& texts = tags_[tag].strings();
  positions_.resize(texts.size() + 1);
  StringList dictionary;
  std::vector<Code> used;
  Bitmap present;
  std::vector<int64_t> numbers;
  for (size_t set = 0; set < part.places.size(); ++set) {
    const Code code = codes[part.places[set]];
    if (code == 0) continue;
    if (positions_[code] == 0) {
      dictionary.Add(texts[code - 1]);
      used.push_back(code);
      positions_[code] = static_cast<uint32_t>(used.size());
    }
    present.Set(set);
    numbers.push_back(positions_[code] - 1);
  }
  for (Code code : used) positions_[code] = 0;
  if (numbers.empty()) return;
  part.encoder.AddTag(tag_columns_[tag], numbers.size() < part.places.size() ? &present : nullptr,
                      dictionary, numbers);
}

absl::Status Compaction::WriteNumbers(size_t column) {
  std::vector<int64_t>& numbers = numbers_;
  numbers.resize(row_begins_.back());
  // Kept once some row is without a value.
  std::vector<bool> has;
  bool any = false;
  for (size_t b = 0; b < blocks_.size(); ++b) {
    absl::StatusOr<BlockColumn> decoded = Decode(blocks_[b], column);
    if (!decoded.ok()) return decoded.status();
    const size_t begin = row_begins_[b];
    const size_t count = row_begins_[b + 1] - begin;
    const std::vector<int64_t>& values = decoded->numbers();
    any |= !values.empty();
    if (values.size() == count) {
      std::copy(values.begin(), values.end(), numbers.begin() + static_cast<ptrdiff_t>(begin));
      continue;
    }
    if (has.empty()) has.assign(numbers.size(), true);
    for (size_t row = 0; row < count; ++row) {
      std::optional<size_t> position = values.empty() ? std::nullopt : decoded->Position(row);
      has[begin + row] = position.has_value();
      if (position) numbers[begin + row] = values[*position];
    }
  }
  if (!any) return absl::OkStatus();
  const bool no_duplicates = points_.size() == rows_.size();
  std::vector<int64_t> out;
  for (Part& part : parts_) {
    out.clear();
    if (has.empty()) {
      out.resize(part.last - part.first);
      for (size_t i = 0; i < out.size(); ++i) {
        const size_t point = part.first + i;
        out[i] = numbers[rows_[no_duplicates ? point : EndOf(point) - 1]];
      }
      part.encoder.AddNumbers(column, table_.columns()[column].type, nullptr, out);
      continue;
    }
    Bitmap present;
    for (size_t point = part.first; point < part.last; ++point) {
      std::optional<uint32_t> row = LastWith(point, [&](uint32_t r) { return bool{has[r]}; });
      if (!row) continue;
      present.Set(point - part.first);
      out.push_back(numbers[*row]);
    }
    if (out.empty()) continue;
    const bool all = out.size() == part.last - part.first;
    part.encoder.AddNumbers(column, table_.columns()[column].type, all ? nullptr : &present, out);
  }
  return absl::OkStatus();
}

absl::Status Compaction::WriteStrings(size_t column) {
  std::vector<BlockColumn> decoded;
  // Null where there is no value.
  std::vector<std::string_view> texts(row_begins_.back());
  for (size_t b = 0; b < blocks_.size(); ++b) {
    absl::StatusOr<BlockColumn> block = Decode(blocks_[b], column);
    if (!block.ok()) return block.status();
    decoded.push_back(*std::move(block));
    if (decoded.back().strings().empty()) continue;
    for (size_t row = row_begins_[b]; row < row_begins_[b + 1]; ++row) {
      std::optional<size_t> position = decoded.back().Position(row - row_begins_[b]);
      static constexpr std::string_view kEmpty = "";
      if (!position) continue;
      std::string_view text = decoded.back().strings()[*position];
      texts[row] = text.data() == nullptr ? kEmpty : text;
    }
  }
  for (Part& part : parts_) {
    Bitmap present;
    StringList out;
    for (size_t point = part.first; point < part.last; ++point) {
      std::optional<uint32_t> row =
          LastWith(point, [&](uint32_t r) { return texts[r].data() != nullptr; });
      if (!row) continue;
      present.Set(point - part.first);
      out.Add(texts[*row]);
    }
    if (out.size() == 0) continue;
    const bool all = out.size() == part.last - part.first;
    part.encoder.AddStrings(column, all ? nullptr : &present, out);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<EncodedBlock>> Compaction::Write() {
  Divide();
  size_t tag = 0;
  for (size_t column = 0; column < table_.columns().size(); ++column) {
    const ColumnType type = table_.columns()[column].type;
    if (type == ColumnType::kTag) {
      if (!codes_[tag].empty()) {
        const std::vector<Code> codes = CodesByPlace(tag);
        for (Part& part : parts_) WriteTag(tag, codes, part);
      }
      ++tag;
      continue;
    }
    absl::Status written =
        type == ColumnType::kString ? WriteStrings(column) : WriteNumbers(column);
    if (!written.ok()) return written;
  }
  std::vector<EncodedBlock> blocks;
  for (Part& part : parts_) blocks.push_back(part.encoder.Finish());
  return blocks;
}

}  // namespace

absl::StatusOr<std::vector<EncodedBlock>> Compact(const TableSchema& table,
                                                  std::span<const Block> blocks,
                                                  int64_t min_time_ns) {
  Compaction compaction(table, blocks, min_time_ns);
  absl::Status read = compaction.ReadSets();
  if (!read.ok()) return read;
  compaction.OrderSets();
  absl::Status ordered = compaction.OrderRows();
  if (!ordered.ok()) return ordered;
  return compaction.Write();
}

}  // namespace sluice::storage
