#include "storage/merge.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>

#include "storage/block.h"

namespace sluice::storage {
namespace {

// How many rows a slice has, roughly: enough to pay for the sort, few enough to stay in cache.
constexpr size_t kSliceRows = 16384;
constexpr int64_t kEndOfTime = std::numeric_limits<int64_t>::max();

}  // namespace

// A loaded block: its rows in the order of their times, and how far the sweep has come.
class BlockMerge::OpenBlock {
 public:
  static absl::StatusOr<std::shared_ptr<OpenBlock>> Open(uint64_t sequence, std::string bytes,
                                                         const ScanSpec& spec,
                                                         std::span<const size_t> tag_columns) {
    auto open = std::make_shared<OpenBlock>(sequence, std::move(bytes));
    absl::Status status = open->Decode(spec, tag_columns);
    if (!status.ok()) return status;
    return open;
  }

  OpenBlock(uint64_t sequence, std::string bytes) : sequence_(sequence), bytes_(std::move(bytes)) {}

  uint64_t sequence() const { return sequence_; }
  bool done() const { return next_ == order_.size(); }
  int64_t time() const { return times_[order_[next_]]; }
  // The time of the row `ahead` rows on, or of the last.
  int64_t TimeAhead(size_t ahead) const {
    return times_[order_[std::min(next_ + ahead, order_.size() - 1)]];
  }
  // Every scan of a snapshot that meets a point meets all its writes, so the latest one names it.
  int64_t RowId(uint32_t row) const {
    static_assert(kMaxBlockRows == 1 << 16);
    return static_cast<int64_t>(sequence_ << 16 | row);
  }
  uint32_t TakeRow() { return order_[next_++]; }

  uint64_t SeriesHash(uint32_t row) const {
    uint64_t hash = 0;
    for (const Tag& tag : tags_) {
      std::optional<uint32_t> code = tag.column.CodeAt(row);
      if (code) hash += tag.hashes[*code];
    }
    return hash;
  }
  bool Matches(uint32_t row) const {
    return std::all_of(wanted_.begin(), wanted_.end(), [&](const WantedTag& wanted) {
      return tags_[wanted.tag].column.CodeAt(row) == wanted.code;
    });
  }
  Value TagAt(size_t tag, uint32_t row) const { return tags_[tag].column.At(row); }
  Value ValueAt(size_t i, uint32_t row) const { return columns_[i].At(row); }

 private:
  struct Tag {
    BlockColumn column;
    // Of each text of the dictionary, together with the column.
    std::vector<uint64_t> hashes;
  };
  struct WantedTag {
    size_t tag;
    uint32_t code;
  };

  absl::Status Decode(const ScanSpec& spec, std::span<const size_t> tag_columns);
  void OrderRows(const ScanSpec& spec);
  bool FindWanted(const ScanSpec& spec, std::span<const size_t> tag_columns);

  const uint64_t sequence_;
  const std::string bytes_;
  std::vector<int64_t> times_;
  std::vector<uint32_t> order_;
  size_t next_ = 0;
  std::vector<Tag> tags_;
  std::vector<WantedTag> wanted_;
  std::vector<BlockColumn> columns_;
};

absl::Status BlockMerge::OpenBlock::Decode(const ScanSpec& spec,
                                           std::span<const size_t> tag_columns) {
  absl::StatusOr<Block> block = Block::Open(bytes_);
  if (!block.ok()) return block.status();
  absl::StatusOr<std::vector<int64_t>> times = block->DecodeTimestamps();
  if (!times.ok()) return times.status();
  times_ = *std::move(times);
  auto decode = [&](size_t position) -> absl::StatusOr<BlockColumn> {
    std::optional<ColumnType> type = block->TypeOf(position);
    if (type && *type != spec.table->columns()[position].type) {
      return absl::DataLossError("damaged block: a column of another type than the table's");
    }
    return block->DecodeColumn(position);
  };
  for (size_t position : tag_columns) {
    absl::StatusOr<BlockColumn> column = decode(position);
    if (!column.ok()) return column.status();
    Tag& tag = tags_.emplace_back(Tag{*std::move(column), {}});
    for (std::string_view text : tag.column.dictionary()) {
      tag.hashes.push_back(XXH3_64bits_withSeed(text.data(), text.size(), position));
    }
  }
  if (!FindWanted(spec, tag_columns)) return absl::OkStatus();
  for (size_t position : spec.columns) {
    absl::StatusOr<BlockColumn> column = decode(position);
    if (!column.ok()) return column.status();
    columns_.push_back(*std::move(column));
  }
  OrderRows(spec);
  return absl::OkStatus();
}

// Looks the wanted tag values up in the dictionaries; false if one is in no row.
bool BlockMerge::OpenBlock::FindWanted(const ScanSpec& spec, std::span<const size_t> tag_columns) {
  for (const TagEquals& equals : spec.tags) {
    size_t tag = static_cast<size_t>(
        std::find(tag_columns.begin(), tag_columns.end(), equals.column) - tag_columns.begin());
    const std::vector<std::string_view>& texts = tags_[tag].column.dictionary();
    auto found = std::find(texts.begin(), texts.end(), equals.value);
    if (found == texts.end()) return false;
    wanted_.push_back({tag, static_cast<uint32_t>(found - texts.begin())});
  }
  return true;
}

void BlockMerge::OpenBlock::OrderRows(const ScanSpec& spec) {
  order_.resize(times_.size());
  std::iota(order_.begin(), order_.end(), 0);
  auto earlier = [&](uint32_t a, uint32_t b) { return times_[a] < times_[b]; };
  if (!std::is_sorted(times_.begin(), times_.end())) {
    std::stable_sort(order_.begin(), order_.end(), earlier);
  }
  auto first = std::partition_point(order_.begin(), order_.end(),
                                    [&](uint32_t row) { return times_[row] < spec.min_time_ns; });
  auto last = std::partition_point(first, order_.end(),
                                   [&](uint32_t row) { return times_[row] <= spec.max_time_ns; });
  order_.erase(last, order_.end());
  order_.erase(order_.begin(), first);
}

// One write of a point.
struct BlockMerge::RowRef {
  int64_t time_ns;
  uint64_t series_hash;
  // Position in open_, hence in the order of commits.
  uint32_t block;
  uint32_t row;
};

BlockMerge::BlockMerge(const ScanSpec& spec, std::vector<BlockRef> blocks, BlockLoader loader)
    : spec_(spec), waiting_(std::move(blocks)), loader_(std::move(loader)) {
  for (size_t i = 0; i < spec_.table->columns().size(); ++i) {
    if (spec_.table->columns()[i].type == ColumnType::kTag) tag_columns_.push_back(i);
  }
  std::sort(waiting_.begin(), waiting_.end(),
            [](const BlockRef& a, const BlockRef& b) { return a.min_time_ns > b.min_time_ns; });
}

BlockMerge::~BlockMerge() = default;

absl::Status BlockMerge::Next(ScanRows& rows) {
  rows.Clear();
  rows.columns.resize(spec_.columns.size());
  while (rows.timestamps.empty()) {
    if (spec_.should_stop && spec_.should_stop())
      return absl::CancelledError("the scan was stopped");
    absl::Status status = OpenBlocks();
    if (!status.ok()) return status;
    if (open_.empty()) return absl::OkStatus();
    std::vector<RowRef> slice;
    TakeSlice(EndOfSlice(), slice);
    EmitPoints(slice, rows);
    rows.owners.assign(open_.begin(), open_.end());
    std::erase_if(open_, [](const auto& block) { return block->done(); });
  }
  return absl::OkStatus();
}

// Loads every waiting block that begins no later than the sweep's next row.
absl::Status BlockMerge::OpenBlocks() {
  int64_t sweep = kEndOfTime;
  for (const auto& block : open_) sweep = std::min(sweep, block->time());
  while (!waiting_.empty() && (open_.empty() || waiting_.back().min_time_ns <= sweep)) {
    BlockRef ref = waiting_.back();
    waiting_.pop_back();
    absl::StatusOr<std::string> bytes = loader_(ref);
    if (!bytes.ok()) return bytes.status();
    auto block = OpenBlock::Open(ref.sequence, *std::move(bytes), spec_, tag_columns_);
    if (!block.ok()) return block.status();
    if ((*block)->done()) continue;
    sweep = std::min(sweep, (*block)->time());
    auto later = std::upper_bound(
        open_.begin(), open_.end(), ref.sequence,
        [](uint64_t sequence, const auto& other) { return sequence < other->sequence(); });
    open_.insert(later, *std::move(block));
  }
  return absl::OkStatus();
}

// The last moment of the next slice: before the first row of a block that is not open, and not so
// late that the slice gets many more than kSliceRows. At least one row comes before it.
int64_t BlockMerge::EndOfSlice() const {
  size_t ahead = kSliceRows / open_.size();
  int64_t first = kEndOfTime;
  int64_t last = kEndOfTime;
  for (const auto& block : open_) {
    first = std::min(first, block->time());
    last = std::min(last, block->TimeAhead(ahead));
  }
  if (!waiting_.empty()) last = std::min(last, waiting_.back().min_time_ns - 1);
  return std::max(first, last);
}

void BlockMerge::TakeSlice(int64_t last_time_ns, std::vector<RowRef>& slice) {
  for (size_t i = 0; i < open_.size(); ++i) {
    OpenBlock& block = *open_[i];
    while (!block.done() && block.time() <= last_time_ns) {
      int64_t time_ns = block.time();
      uint32_t row = block.TakeRow();
      if (!block.Matches(row)) continue;
      slice.push_back({time_ns, block.SeriesHash(row), static_cast<uint32_t>(i), row});
    }
  }
  std::sort(slice.begin(), slice.end(), [](const RowRef& a, const RowRef& b) {
    return std::tie(a.time_ns, a.series_hash, a.block, a.row) <
           std::tie(b.time_ns, b.series_hash, b.block, b.row);
  });
}

void BlockMerge::EmitPoints(std::vector<RowRef>& slice, ScanRows& rows) const {
  for (auto begin = slice.begin(); begin != slice.end();) {
    auto end = std::find_if(begin, slice.end(), [&](const RowRef& ref) {
      return ref.time_ns != begin->time_ns || ref.series_hash != begin->series_hash;
    });
    // Nearly always one series; a hash may still stand for two.
    while (begin != end) {
      auto same = [this, first = *begin](const RowRef& ref) { return SameSeries(first, ref); };
      auto other = begin + 1 == end ? end : std::stable_partition(begin, end, same);
      EmitPoint(&*begin, static_cast<size_t>(other - begin), rows);
      begin = other;
    }
  }
}

void BlockMerge::EmitPoint(const RowRef* writes, size_t count, ScanRows& rows) const {
  const RowRef& latest = writes[count - 1];
  rows.timestamps.push_back(latest.time_ns);
  rows.row_ids.push_back(open_[latest.block]->RowId(latest.row));
  for (size_t i = 0; i < spec_.columns.size(); ++i) {
    Value value;
    for (size_t w = count; w > 0 && std::holds_alternative<std::monostate>(value); --w) {
      value = open_[writes[w - 1].block]->ValueAt(i, writes[w - 1].row);
    }
    rows.columns[i].push_back(value);
  }
}

bool BlockMerge::SameSeries(const RowRef& a, const RowRef& b) const {
  for (size_t tag = 0; tag < tag_columns_.size(); ++tag) {
    if (open_[a.block]->TagAt(tag, a.row) != open_[b.block]->TagAt(tag, b.row)) return false;
  }
  return true;
}

}  // namespace sluice::storage
