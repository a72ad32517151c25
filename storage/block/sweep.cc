#include "storage/block/sweep.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "storage/batch.h"
#include "storage/block/series_key.h"

namespace sluice::storage {
namespace {

// How many rows a slice has, roughly, and how many values at most.
constexpr size_t kSliceRows = 16384;
constexpr size_t kSliceValues = 32 * kSliceRows;
// Of the blocks that a slice keeps in memory until it has been read: texts can be long.
constexpr size_t kSliceBytes = size_t{8} << 20;
constexpr int64_t kStartOfTime = std::numeric_limits<int64_t>::min();
constexpr int64_t kEndOfTime = std::numeric_limits<int64_t>::max();

}  // namespace

BlockRef BlockRef::Of(uint64_t sequence, uint64_t run, const Block& block,
                      const TableSchema& table) {
  SeriesBound bound = LowerBound(block, TagColumns(table));
  return {sequence, run, std::move(bound.key), bound.is_whole ? block.min_time_ns() : kStartOfTime};
}

// A loaded block: its wanted rows in order of series and time, and how far the sweep has come.
class Sweep::OpenBlock {
 public:
  static absl::StatusOr<std::shared_ptr<OpenBlock>> Open(uint64_t sequence, std::string bytes,
                                                         const ScanSpec& spec,
                                                         std::span<const size_t> tag_columns) {
    auto open = std::make_shared<OpenBlock>(sequence, std::move(bytes), spec.charge);
    absl::Status status = open->Decode(spec, tag_columns);
    if (!status.ok()) return status;
    return open;
  }

  OpenBlock(uint64_t sequence, std::string bytes, std::function<bool(int64_t)> charge)
      : sequence_(sequence), charge_(std::move(charge)), bytes_(std::move(bytes)) {}
  ~OpenBlock() { Charge(-charged_); }
  OpenBlock(const OpenBlock&) = delete;
  OpenBlock& operator=(const OpenBlock&) = delete;

  uint64_t sequence() const { return sequence_; }
  bool done() const { return series_ == runs_.size(); }
  // Of the next row.
  const std::string& key() const { return key_; }
  int64_t time() const { return times_[next_]; }
  // The time of the row `ahead` rows on in the series, or of its last.
  int64_t TimeAhead(size_t ahead) const {
    return times_[std::min(next_ + ahead, runs_[series_].end - 1)];
  }
  uint32_t set() const { return runs_[series_].set; }
  uint32_t TakeRow() {
    uint32_t row = static_cast<uint32_t>(next_++);
    if (next_ == runs_[series_].end) {
      ++series_;
      MakeKey();
    }
    return row;
  }

  size_t MemoryBytes() const;
  // Whether this is the first time that it is asked in that call of Next.
  bool IsNewTo(uint64_t call) { return std::exchange(last_call_, call) != call; }

  // Every scan of a snapshot that meets a point meets all its writes, so the latest one names it.
  int64_t RowId(uint32_t row) const {
    static_assert(kMaxBlockRows <= 1 << 16);
    return static_cast<int64_t>(sequence_ << 16 | rows_[row]);
  }
  Value ValueAt(size_t i, uint32_t row, uint32_t set) const {
    return columns_[i].At(is_tag_[i] ? set : row);
  }

 private:
  // The rows of one series: those from the end of the run before to `end`.
  struct Run {
    uint32_t set;
    size_t end;
  };
  // A place in the order of a tag's values in the block, counted from 1; 0 is no value. Sets
  // compare by them as their keys do, of which there may be far more than fits into memory.
  using Rank = uint32_t;

  absl::Status Decode(const ScanSpec& spec, std::span<const size_t> tag_columns);
  static absl::StatusOr<BlockColumn> DecodeColumn(const ScanSpec& spec, const Block& block,
                                                  size_t position);
  absl::Status ReadTags(const ScanSpec& spec, const Block& block,
                        std::span<const size_t> tag_columns, std::vector<bool>& wanted);
  void RankTag(const BlockColumn& column, size_t tag, size_t set_count);
  void OrderRows(const std::vector<uint32_t>& row_sets, bool sorted);
  std::span<const Rank> RanksOf(uint32_t set) const {
    return std::span(ranks_).subspan(set * texts_.size(), texts_.size());
  }
  bool Less(uint32_t a, uint32_t b) const {
    return std::ranges::lexicographical_compare(RanksOf(a), RanksOf(b));
  }
  bool Same(uint32_t a, uint32_t b) const {
    return a == b || std::ranges::equal(RanksOf(a), RanksOf(b));
  }
  void MakeKey();
  bool Charge(int64_t bytes);

  const uint64_t sequence_;
  // See ScanSpec.
  const std::function<bool(int64_t)> charge_;
  int64_t charged_ = 0;
  // Kept while texts point into it.
  std::string bytes_;
  // Of each of the table's tags: its values in the block in order, and what they point into.
  std::vector<std::vector<std::string_view>> texts_;
  std::vector<std::shared_ptr<const void>> text_owners_;
  // Of each set, one for each tag.
  std::vector<Rank> ranks_;
  // The wanted rows in order: their places in the block, and all that follows by place in here.
  std::vector<uint32_t> rows_;
  std::vector<int64_t> times_;
  std::vector<Run> runs_;
  size_t series_ = 0;
  size_t next_ = 0;
  // Of that series.
  std::string key_;
  std::vector<BlockColumn> columns_;
  std::vector<bool> is_tag_;
  uint64_t last_call_ = 0;
};

absl::Status Sweep::OpenBlock::Decode(const ScanSpec& spec, std::span<const size_t> tag_columns) {
  absl::StatusOr<Block> block = Block::Open(bytes_);
  if (!block.ok()) return block.status();
  if (!block->has_body()) return absl::DataLossError("damaged block: no body");
  // While it is decoded it takes this at most; afterwards, what is wanted of it.
  const size_t most = bytes_.size() + block->decoded_bytes() +
                      block->set_count() * tag_columns.size() * sizeof(Rank);
  if (!Charge(static_cast<int64_t>(most))) {
    return absl::UnavailableError(
        "what the query reads, and is not merged yet, takes more memory than queries may have; ask "
        "for less time, or later");
  }
  std::vector<bool> wanted(block->set_count(), true);
  absl::Status read = ReadTags(spec, *block, tag_columns, wanted);
  if (!read.ok()) return read;
  if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) return absl::OkStatus();
  absl::StatusOr<std::vector<int64_t>> times = block->DecodeTimestamps();
  if (!times.ok()) return times.status();
  times_ = *std::move(times);
  absl::StatusOr<std::vector<uint32_t>> row_sets = block->DecodeSets();
  if (!row_sets.ok()) return row_sets.status();
  for (uint32_t row = 0; row < times_.size(); ++row) {
    bool in_time = times_[row] >= spec.min_time_ns && times_[row] <= spec.max_time_ns;
    if (in_time && wanted[(*row_sets)[row]]) rows_.push_back(row);
  }
  if (rows_.empty()) return absl::OkStatus();
  OrderRows(*row_sets, block->sorted());
  for (size_t position : spec.columns) {
    absl::StatusOr<BlockColumn> column = DecodeColumn(spec, *block, position);
    if (!column.ok()) return column.status();
    is_tag_.push_back(spec.table->columns()[position].type == ColumnType::kTag);
    columns_.push_back(is_tag_.back() ? *std::move(column) : column->Select(rows_));
  }
  MakeKey();
  Charge(static_cast<int64_t>(MemoryBytes()) - charged_);
  return absl::OkStatus();
}

absl::StatusOr<BlockColumn> Sweep::OpenBlock::DecodeColumn(const ScanSpec& spec, const Block& block,
                                                           size_t position) {
  std::optional<ColumnType> type = block.TypeOf(position);
  if (type && *type != spec.table->columns()[position].type) {
    return absl::DataLossError("damaged block: a column of another type than the table's");
  }
  return block.DecodeColumn(position);
}

absl::Status Sweep::OpenBlock::ReadTags(const ScanSpec& spec, const Block& block,
                                        std::span<const size_t> tag_columns,
                                        std::vector<bool>& wanted) {
  texts_.resize(tag_columns.size());
  ranks_.resize(block.set_count() * tag_columns.size());
  for (size_t tag = 0; tag < tag_columns.size(); ++tag) {
    absl::StatusOr<BlockColumn> column = DecodeColumn(spec, block, tag_columns[tag]);
    if (!column.ok()) return column.status();
    const std::vector<std::string_view>& texts = column->dictionary();
    for (const TagEquals& equals : spec.tags) {
      if (equals.column != tag_columns[tag]) continue;
      const size_t code =
          static_cast<size_t>(std::find(texts.begin(), texts.end(), equals.value) - texts.begin());
      for (size_t set = 0; set < wanted.size(); ++set) {
        if (column->CodeAt(set) != code) wanted[set] = false;
      }
    }
    RankTag(*column, tag, block.set_count());
  }
  return absl::OkStatus();
}

void Sweep::OpenBlock::RankTag(const BlockColumn& column, size_t tag, size_t set_count) {
  std::vector<std::string_view>& texts = texts_[tag];
  texts = column.dictionary();
  std::sort(texts.begin(), texts.end());
  std::vector<Rank> rank_of_code;
  for (std::string_view text : column.dictionary()) {
    const auto place = std::lower_bound(texts.begin(), texts.end(), text) - texts.begin();
    rank_of_code.push_back(static_cast<Rank>(place) + 1);
  }
  for (size_t set = 0; set < set_count; ++set) {
    const std::optional<uint32_t> code = column.CodeAt(set);
    if (code) ranks_[set * texts_.size() + tag] = rank_of_code[*code];
  }
  text_owners_.push_back(column.owner());
}

void Sweep::OpenBlock::OrderRows(const std::vector<uint32_t>& row_sets, bool sorted) {
  if (!sorted) {
    // Sets by their place in the order of keys; equal ones share a place.
    std::vector<uint32_t> by_key(texts_.empty() ? 1 + *std::ranges::max_element(row_sets)
                                                : ranks_.size() / texts_.size());
    std::iota(by_key.begin(), by_key.end(), 0);
    std::sort(by_key.begin(), by_key.end(), [&](uint32_t a, uint32_t b) { return Less(a, b); });
    std::vector<uint32_t> place(by_key.size());
    for (size_t i = 1; i < by_key.size(); ++i) {
      bool same = Same(by_key[i], by_key[i - 1]);
      place[by_key[i]] = place[by_key[i - 1]] + (same ? 0 : 1);
    }
    std::stable_sort(rows_.begin(), rows_.end(), [&](uint32_t a, uint32_t b) {
      return std::tie(place[row_sets[a]], times_[a]) < std::tie(place[row_sets[b]], times_[b]);
    });
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    uint32_t set = row_sets[rows_[i]];
    if (runs_.empty() || !Same(runs_.back().set, set)) runs_.push_back({set, i});
    runs_.back().end = i + 1;
  }
  std::vector<int64_t> times;
  times.reserve(rows_.size());
  for (uint32_t row : rows_) times.push_back(times_[row]);
  times_ = std::move(times);
}

void Sweep::OpenBlock::MakeKey() {
  key_.clear();
  if (done()) return;
  const std::span<const Rank> ranks = RanksOf(runs_[series_].set);
  for (size_t tag = 0; tag < ranks.size(); ++tag) {
    if (ranks[tag] == 0) {
      AppendNoTagToKey(key_);
    } else {
      AppendTagToKey(key_, texts_[tag][ranks[tag] - 1]);
    }
  }
}

size_t Sweep::OpenBlock::MemoryBytes() const {
  size_t bytes = sizeof(*this) + bytes_.size() + ranks_.size() * sizeof(Rank) +
                 rows_.size() * sizeof(uint32_t) + times_.size() * sizeof(int64_t) +
                 runs_.size() * sizeof(Run);
  for (const auto& texts : texts_) bytes += texts.size() * sizeof(std::string_view);
  for (const BlockColumn& column : columns_) bytes += column.memory_bytes();
  return bytes;
}

// What is given back is always taken.
bool Sweep::OpenBlock::Charge(int64_t bytes) {
  if (!charge_ || bytes == 0) return true;
  if (!charge_(bytes)) return false;
  charged_ += bytes;
  return true;
}

// One write of a point.
struct Sweep::RowRef {
  int64_t time_ns;
  const OpenBlock* block;
  uint32_t row;
  uint32_t set;
};

Sweep::Sweep(const ScanSpec& spec, std::vector<BlockRef> blocks, BlockLoader loader)
    : spec_(spec),
      tag_columns_(TagColumns(*spec_.table)),
      slice_rows_(std::min(kSliceRows, kSliceValues / (1 + spec_.columns.size()))),
      waiting_(std::move(blocks)),
      loader_(std::move(loader)) {
  std::sort(waiting_.begin(), waiting_.end(), [](const BlockRef& a, const BlockRef& b) {
    return std::tie(a.first_key, a.first_time_ns) > std::tie(b.first_key, b.first_time_ns);
  });
}

Sweep::~Sweep() = default;

bool Sweep::Later(const std::shared_ptr<OpenBlock>& a, const std::shared_ptr<OpenBlock>& b) {
  int order = a->key().compare(b->key());
  return order != 0 ? order > 0 : a->time() > b->time();
}

absl::Status Sweep::Next(ScanRows& rows) {
  rows.Clear();
  rows.columns.resize(spec_.columns.size());
  ++calls_;
  size_t owned_bytes = 0;
  std::vector<RowRef> slice;
  while (rows.timestamps.empty() ||
         (rows.timestamps.size() < slice_rows_ && owned_bytes < kSliceBytes)) {
    if (spec_.should_stop && spec_.should_stop()) {
      return absl::CancelledError("the scan was stopped");
    }
    absl::Status status = OpenBlocks();
    if (!status.ok()) return status;
    if (open_.empty()) return absl::OkStatus();
    slice.clear();
    owned_bytes += TakeSlice(slice, rows.owners);
    EmitPoints(slice, rows);
  }
  return absl::OkStatus();
}

// Loads every waiting block that begins no later than the sweep's next row.
absl::Status Sweep::OpenBlocks() {
  while (!waiting_.empty()) {
    const BlockRef& next = waiting_.back();
    if (!open_.empty()) {
      const OpenBlock& first = *open_.front();
      int order = next.first_key.compare(first.key());
      if (order > 0 || (order == 0 && next.first_time_ns > first.time())) break;
    }
    absl::StatusOr<std::string> bytes = loader_(next);
    if (!bytes.ok()) return bytes.status();
    auto block = OpenBlock::Open(next.sequence, *std::move(bytes), spec_, tag_columns_);
    if (!block.ok()) return block.status();
    waiting_.pop_back();
    if ((*block)->done()) continue;
    open_.push_back(*std::move(block));
    std::push_heap(open_.begin(), open_.end(), Later);
  }
  return absl::OkStatus();
}

// Takes rows of the first series, from the next one on: all that come before those of a block that
// is not open, but not many more than slice_rows_. Returns the bytes of the owners that it adds.
size_t Sweep::TakeSlice(std::vector<RowRef>& slice,
                        std::vector<std::shared_ptr<const void>>& owners) {
  const std::string key = open_.front()->key();
  int64_t last_time_ns = kEndOfTime;
  if (!waiting_.empty() && waiting_.back().first_key == key) {
    last_time_ns = waiting_.back().first_time_ns - 1;
  }
  std::vector<std::shared_ptr<OpenBlock>> with_series;
  while (!open_.empty() && open_.front()->key() == key) {
    std::pop_heap(open_.begin(), open_.end(), Later);
    with_series.push_back(std::move(open_.back()));
    open_.pop_back();
  }
  // At least the very next row comes before that.
  const size_t ahead = slice_rows_ / with_series.size();
  const int64_t first_time_ns = with_series.front()->time();
  for (const auto& block : with_series) {
    last_time_ns = std::min(last_time_ns, block->TimeAhead(ahead));
  }
  last_time_ns = std::max(last_time_ns, first_time_ns);
  size_t owned_bytes = 0;
  for (const auto& block : with_series) {
    while (!block->done() && block->key() == key && block->time() <= last_time_ns) {
      int64_t time_ns = block->time();
      uint32_t set = block->set();
      slice.push_back({time_ns, block.get(), block->TakeRow(), set});
    }
    if (block->IsNewTo(calls_)) {
      owners.push_back(block);
      owned_bytes += block->MemoryBytes();
    }
    if (block->done()) continue;
    open_.push_back(block);
    std::push_heap(open_.begin(), open_.end(), Later);
  }
  if (with_series.size() > 1) {
    std::stable_sort(slice.begin(), slice.end(), [](const RowRef& a, const RowRef& b) {
      return a.time_ns != b.time_ns ? a.time_ns < b.time_ns
                                    : a.block->sequence() < b.block->sequence();
    });
  }
  return owned_bytes;
}

void Sweep::EmitPoints(const std::vector<RowRef>& slice, ScanRows& rows) const {
  for (size_t begin = 0; begin < slice.size();) {
    size_t end = begin + 1;
    while (end < slice.size() && slice[end].time_ns == slice[begin].time_ns) ++end;
    EmitPoint(&slice[begin], end - begin, rows);
    begin = end;
  }
}

void Sweep::EmitPoint(const RowRef* writes, size_t count, ScanRows& rows) const {
  const RowRef& latest = writes[count - 1];
  rows.timestamps.push_back(latest.time_ns);
  rows.row_ids.push_back(latest.block->RowId(latest.row));
  for (size_t i = 0; i < spec_.columns.size(); ++i) {
    Value value;
    for (size_t w = count; w > 0 && std::holds_alternative<std::monostate>(value); --w) {
      value = writes[w - 1].block->ValueAt(i, writes[w - 1].row, writes[w - 1].set);
    }
    rows.columns[i].push_back(value);
  }
}

}  // namespace sluice::storage
