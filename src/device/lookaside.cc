#include "device/lookaside.h"

#include <algorithm>
#include <utility>

namespace swiommu {

Result<std::unique_ptr<Lookaside>> Lookaside::create(Host const& host) {
  return guarded([&]() -> Result<std::unique_ptr<Lookaside>> {
    auto own = Iotlb::create(), parents = Iotlb::create(), tables = Iotlb::create();
    auto contexts = Mapping::zeros(sizeof(Context) << contexts_lg2);
    if (!own || !parents || !tables || !contexts) return out_of_memory();
    return std::unique_ptr<Lookaside>(
        new Lookaside(host, std::move(*own), std::move(*parents), std::move(*tables), std::move(*contexts)));
  });
}

Lookaside::Lookaside(Host const& host, Iotlb own, Iotlb parents, Iotlb tables, Mapping contexts)
    : own_{.entries = std::move(own)},
      parents_{.entries = std::move(parents)},
      tables_(std::move(tables)),
      contexts_(std::move(contexts)),
      memory_(*host.memory),
      removals_(host.memory->removals()) {}

// After the count of changes: whoever keeps something coarse, and has not seen the count, has said so before.
void Lookaside::Table::forget(Range inputs) noexcept {
  if (coarse.load(std::memory_order_relaxed))
    renewals.fetch_add(1, std::memory_order_release);
  else
    entries.forget(inputs);
}

void Lookaside::forget(Range inputs) noexcept {
  last.changes.fetch_add(1, std::memory_order_seq_cst);
  // First what the other two are made from. Who has used a table that is forgotten now keeps what came of it before the next
  // count, and so before it is removed, or sees that count.
  tables_.forget(inputs);
  last.changes.fetch_add(1, std::memory_order_seq_cst);
  own_.forget(inputs);
  parents_.forget(inputs);
  last.changes.fetch_add(1, std::memory_order_seq_cst);
}

// A context is used until the walk ends, so they run out at its beginning, or where a walk needs more than others, which keeps
// nothing then.
std::uint32_t Lookaside::set_context(std::uint64_t key, std::uint64_t changes, std::uint64_t generation,
                                     std::optional<std::uint32_t> directed) {
  if (last_context_ > Iotlb::most_contexts - most_in_a_walk) forget_everything();
  std::uint32_t const number = context(own_, generation, counted(directed));
  remembered_[key % remembered_.size()] = {key, changes, generation, number, counted(directed)};
  walked_ = {number, changes};
  return number;
}

bool Lookaside::remember(std::uint64_t key) {
  Remembered const& remembered = remembered_[key % remembered_.size()];
  if (remembered.key != key || remembered.changes != changes()) return false;
  last.found_at = remembered.changes;
  last.key = key;
  last.context = remembered.context;
  last.directed = remembered.directed;
  last.generation = remembered.generation;
  last.last = last.rest = 0;
  last.offset = 0;
  return true;
}

std::uint32_t Lookaside::context(Table const& table, std::uint64_t generation, std::uint32_t directed) {
  std::uint64_t const renewals = table.renewals.load(std::memory_order_acquire);
  auto* const places = reinterpret_cast<Context*>(contexts_.data());
  constexpr std::uint64_t mask = low_bits(contexts_lg2);
  // Generations are counted, so their low bits are spread already.
  for (std::uint64_t place = (generation + renewals + std::uint64_t{directed} * 0x9e37) & mask;; place = (place + 1) & mask) {
    Context& found = places[place];
    if (found.generation == generation && found.renewals == renewals && found.directed == directed) return found.number;
    if (found.generation != 0) continue;
    if (last_context_ == Iotlb::most_contexts) return 0;
    found = {generation, renewals, directed, ++last_context_};
    return found.number;
  }
}

void Lookaside::forget_everything() {
  for (Table* const table : {&own_, &parents_}) {
    table->entries.clear();
    table->coarse.store(false, std::memory_order_relaxed);
  }
  tables_.clear();
  remembered_ = {};
  last.found_at = 0;
  std::fill_n(reinterpret_cast<Context*>(contexts_.data()), bit(contexts_lg2), Context());
  last_context_ = 0;
  parent_ = {};
}

Chunk Lookaside::locate_memory(std::uint64_t address, Access access) {
  if (removals_ == nullptr) return memory_.locate(address, access);
  std::uint64_t const removals = removals_->load(std::memory_order_acquire);
  for (Row const& row : rows_)
    if (row.start <= address && address <= row.last && row.removals == removals && (row.writable || !access.write))
      return {row.data + (address - row.start), row.last - address + 1};
  Chunk const chunk = memory_.locate(address, access);
  if (chunk) {
    rows_[oldest_row_] = {address, address + (chunk.length - 1), chunk.data, removals, access.write};
    oldest_row_ = (oldest_row_ + 1) % rows_.size();
  }
  return chunk;
}

// May an invalidation of a user's table mean the block of 2^lg2 inputs around this one without naming it?
bool Lookaside::is_coarse(Domain const& domain, std::uint64_t input, Translation const& t, unsigned lg2) {
  bool const nested = domain.kind() == DomainKind::nested;
  if (!nested && domain.kind() != DomainKind::shadow) return false;
  return (nested && t.walk.size_lg2 > lg2) || !is_plain(input);
}

Lookaside::Kept Lookaside::keep_in(Table& table, Domain const& domain, std::uint64_t input, Range block, Translation const& t,
                                   Access access, std::uint32_t context, std::uint64_t changes) {
  // What `t` leads to, from `back` bytes before the input on.
  auto const memory = [&](std::uint64_t back) -> Chunk {
    if (t.data != nullptr) return {t.data - back, block.last - (input - back) + 1};
    return locate_memory(t.output - back, access);
  };
  // A later write walks again, to mark the page dirty; reading needs no more marks than any walk has made.
  Access const granted{t.attributes.access.read, access.write};
  std::size_t const first = block.last - block.start < low_bits(Iotlb::sizes[1].block_lg2) ? 2 : 0;
  for (std::size_t n = first; n < Iotlb::sizes.size() && context != 0; n++) {
    unsigned const lg2 = Iotlb::sizes[n].block_lg2;
    std::uint64_t const back = input & low_bits(lg2);
    if (!block.contains(Range::block(input, lg2))) continue;
    Chunk const whole = memory(back);
    if (!whole || whole.length - 1 < low_bits(lg2) || (std::bit_cast<std::uint64_t>(whole.data) & low_bits(12)) != 0) continue;
    if (is_coarse(domain, input, t, lg2)) table.coarse.store(true, std::memory_order_relaxed);
    table.entries.insert(n, input, whole.data, granted, context);
    if (last.changes.fetch_add(0, std::memory_order_seq_cst) != changes) table.entries.drop(n, input);
    return {{whole.data + back, std::min(block.last - input, whole.length - 1 - back) + 1}, static_cast<std::uint8_t>(lg2)};
  }
  Chunk chunk = memory(0);
  if (chunk) chunk.length = std::min(block.last - input, chunk.length - 1) + 1;
  return {.chunk = chunk};
}

std::uint32_t Lookaside::context_of(Domain const& parent) {
  std::uint64_t const generation = parent.generation(), renewals = parents_.renewals.load(std::memory_order_acquire);
  if (generation != parent_.generation || renewals != parent_.renewals) [[unlikely]]
    parent_ = {generation, renewals, 0, context(parents_, generation, 0)};
  return parent_.number;
}

KeptBlock Lookaside::kept(Domain const& parent, std::uint64_t input, Access access) {
  std::uint32_t const number = context_of(parent);
  if (number == 0) return {};  // of places where nothing is
  auto const found = parents_.entries.find(input, LastTranslation::rights_of(access), number);
  if (!found) return {};
  return {found.data(input),
          {(found.offset & LastTranslation::reads) != 0, (found.offset & LastTranslation::writes) != 0},
          static_cast<std::uint8_t>(std::countr_one(found.rest))};
}

Translation Lookaside::translate(Domain const& parent, std::uint64_t input, Access access) {
  std::uint64_t const before = changes();
  if (KeptBlock const found = kept(parent, input, access); found.data != nullptr)
    return {.where = &parent, .size_lg2 = found.size_lg2, .attributes = {.access = found.access}, .data = found.data};
  std::uint32_t const number = context_of(parent);
  Walked const above = std::exchange(walked_, {number, before});
  Translation t = parent.translate(input, access, Update::yes, std::nullopt, this);
  walked_ = above;
  if (!t.ok()) return t;
  Kept const kept = keep_in(parents_, parent, input, Range::block(input, t.size_lg2), t, access, number, before);
  if (kept.block_lg2 == 0) return t;
  t.data = kept.chunk.data;
  t.size_lg2 = kept.block_lg2;
  return t;
}

namespace {

// Where the tables of level 0 are kept: their inputs are blocks of that size.
constexpr std::size_t size_of_lowest = 1;
static_assert(Iotlb::sizes[size_of_lowest].block_lg2 == LowestTable::inputs_lg2);

}  // namespace

LowestTable Lookaside::lowest_table(std::uint64_t input, Access access) {
  if (walked_.context == 0) return {};
  auto const found = tables_.find(input, LastTranslation::rights_of(access), walked_.context);
  if (!found) return {};
  return {found.data(align_down(input, LowestTable::inputs_lg2)),
          {(found.offset & LastTranslation::reads) != 0, (found.offset & LastTranslation::writes) != 0}};
}

void Lookaside::prefetch_target(std::uint64_t input) const {
  if (auto const found = own_.entries.find(input, LastTranslation::present, last.context)) {
    __builtin_prefetch(found.data(input));
  } else if (auto const table = tables_.find(input, LastTranslation::present, last.context)) {
    constexpr unsigned word_lg2 = LowestTable::bytes_lg2 + LowestTable::bytes_lg2 - LowestTable::inputs_lg2;
    std::uint64_t const offset = (input & low_bits(LowestTable::inputs_lg2)) >> LowestTable::bytes_lg2 << word_lg2;
    __builtin_prefetch(table.data(align_down(input, LowestTable::inputs_lg2)) + offset);
  }
}

void Lookaside::keep_lowest_table(std::uint64_t input, LowestTable const& table) {
  if (walked_.context == 0 || !is_plain(input)) return;
  if ((std::bit_cast<std::uint64_t>(table.words) & low_bits(LowestTable::bytes_lg2)) != 0) return;
  tables_.insert(size_of_lowest, input, table.words, table.above, walked_.context);
  if (last.changes.fetch_add(0, std::memory_order_seq_cst) != walked_.changes) tables_.drop(size_of_lowest, input);
}

Chunk Lookaside::locate(Domain const& parent, std::uint64_t address, Access access) {
  if (std::uint32_t const number = context_of(parent); number != 0) [[likely]]
    if (auto const found = parents_.entries.find(address, LastTranslation::rights_of(access), number)) [[likely]]
      return {found.data(address), found.rest - (address & found.rest) + 1};
  Translation const t = translate(parent, address, access);
  if (!t.ok()) return {};
  std::uint64_t const rest = Range::block(address, t.size_lg2).last - address;
  if (t.data != nullptr) return {t.data, rest + 1};
  Chunk chunk = locate_memory(t.output, access);
  if (chunk) chunk.length = std::min(rest, chunk.length - 1) + 1;
  return chunk;
}

}  // namespace swiommu
