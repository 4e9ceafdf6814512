// What one port keeps: translations of its own inputs, translations of the parents on the way, the lowest tables of users, and
// which domain is attached.
//
// Forgetting beside inserting. Whoever invalidates counts `changes` up and then removes entries; the port reads it before it
// walks, inserts, and looks at it again by a read-modify-write. If it sees no change, its entry was there before the count, and
// so before the removal; if it sees one, it takes its entry back. What the port finds while entries are being removed may have
// become the last translation, so the count goes up once more behind that. So once an invalidation is over (the grace period
// included), nothing of before it is kept or used.
//
// Which domain, and in which state, a translation belongs to is told by a small number in its tag, the context. A generation,
// with a directed PASID, gets one when it is first met. When all are used up everything is forgotten.
//
// An invalidation of a user's table may mean more inputs than it names: a leaf is forgotten whole, whichever of its addresses is
// named, and with Arm's TBI a page has 256 of them. Once a translation of that kind is kept, an invalidation of few inputs gives
// all that the table keeps new contexts.
#pragma once
#include <array>
#include <atomic>
#include <memory>

#include "device/iotlb.h"
#include "swiommu/device/last_translation.h"
#include "swiommu/domain/domain.h"

namespace swiommu {

class Lookaside final : public KeptTranslations, public ParentReader {
 public:
  // ENOMEM.
  static Result<std::unique_ptr<Lookaside>> create(Host const& host);

  // Any thread.
  void forget(Range inputs) noexcept override;
  void look_again() noexcept override { last.changes.fetch_add(1, std::memory_order_seq_cst); }

  // All the rest: the port's thread, inside a guard.

  LastTranslation last;

  // To be read before attachments, generations and tables are looked at.
  [[nodiscard]] std::uint64_t changes() const { return last.changes.load(std::memory_order_acquire); }

  // The context of what is attached: the generation that its domain had after `changes` was read, and the PASID that is left to
  // the domain. May forget everything.
  std::uint32_t set_context(std::uint64_t key, std::uint64_t changes, std::uint64_t generation,
                            std::optional<std::uint32_t> directed);

  // Before a walk: is the context of a key still that of what is kept last, so that set_context() need not be called? Attachments
  // change before their change is counted, so it is for this generation, and this PASID, only.
  bool begin_walk(std::uint64_t key, std::uint64_t changes, std::uint64_t generation, std::optional<std::uint32_t> directed) {
    bool const same =
        last.key == key && last.found_at == changes && last.generation == generation && last.directed == counted(directed);
    if (same) walked_ = {last.context, changes};
    return same;
  }

  // What is kept of an input for `key`, a PASID or no_pasid, if it allows the access and nothing has changed since
  // set_context(). It is the last translation then.
  [[nodiscard]] Chunk find(std::uint64_t input, std::uint64_t rights, std::uint64_t key) {
    if (!last.holds(key) && !remember(key)) [[unlikely]]
      return {};
    return find_held(input, rights);
  }
  // For the key that `last` holds.
  [[nodiscard]] Chunk find_held(std::uint64_t input, std::uint64_t rights) {
    auto const found = own_.entries.find(input, rights, last.context);
    if (!found) [[unlikely]]
      return {};
    last.last = input | found.rest;
    last.rest = found.rest;
    last.offset = found.offset;
    return {found.data(input), last.last - input + 1};
  }
  // Keeps the translation `t` of a block around `input` through `domain`, as far as it lies in a row in memory, unless something
  // has changed since `changes` was read. Returns the memory at `input` as far as it lies in a row; nothing if there is none.
  Chunk keep(Domain const& domain, std::uint64_t input, Range block, Translation const& t, Access access, std::uint32_t context,
             std::uint64_t changes) {
    return keep_in(own_, domain, input, block, t, access, context, changes).chunk;
  }

  // The same for a page of 4 KiB that is a leaf of its own, so that an invalidation of it names it.
  Chunk keep_page(std::uint64_t input, KeptBlock const& page, Access access, std::uint32_t context, std::uint64_t changes) {
    std::uint64_t const back = input & low_bits(KeptBlock::page_lg2);
    std::byte* const start = page.data - back;
    if (context != 0 && is_plain(input) && (std::bit_cast<std::uint64_t>(start) & low_bits(KeptBlock::page_lg2)) == 0) {
      own_.entries.insert(Iotlb::sizes.size() - 1, input, start, {page.access.read, access.write}, context);
      if (last.changes.fetch_add(0, std::memory_order_seq_cst) != changes) own_.entries.drop(Iotlb::sizes.size() - 1, input);
    }
    return {page.data, bit(KeptBlock::page_lg2) - back};
  }

  // Asks the processor for the words that find() will read, and for what they say that is needed next: the memory behind the
  // input, or the word of the lowest table that leads there. Not only inside a guard: nothing is read there yet.
  void prefetch_entry(std::uint64_t input) const {
    own_.entries.prefetch(input);
    tables_.prefetch(input);
  }
  void prefetch_target(std::uint64_t input) const;

  // The memory at a host address.
  Chunk locate_memory(std::uint64_t address, Access access);

  KeptBlock kept(Domain const& parent, std::uint64_t input, Access access) override;
  Translation translate(Domain const& parent, std::uint64_t input, Access access) override;
  Chunk locate(Domain const& parent, std::uint64_t address, Access access) override;
  LowestTable lowest_table(std::uint64_t input, Access access) override;
  void keep_lowest_table(std::uint64_t input, LowestTable const& table) override;

 private:
  // A directed PASID as contexts have it: 0 is none.
  static std::uint32_t counted(std::optional<std::uint32_t> directed) { return directed ? *directed + 1 : 0; }

  struct Context {
    std::uint64_t generation = 0;  // 0: a free place
    std::uint64_t renewals = 0;    // of the contexts of the table then
    std::uint32_t directed = 0;    // counted()
    std::uint32_t number = 0;
  };
  struct Remembered {
    std::uint64_t key = 0, changes = 0, generation = 0;
    std::uint32_t context = 0, directed = 0;
  };
  // Memory in a row, as it was located last.
  struct Row {
    std::uint64_t start = 1, last = 0;
    std::byte* data = nullptr;
    std::uint64_t removals = 0;
    bool writable = false;
  };
  struct Table {
    Iotlb entries;
    std::atomic<bool> coarse = false;  // an invalidation may mean entries that it does not name
    std::atomic<std::uint64_t> renewals = 0;

    void forget(Range inputs) noexcept;
  };
  struct Kept {
    Chunk chunk;
    std::uint8_t block_lg2 = 0;  // of the entry; 0: none was made
  };
  // The domain that is walked through now.
  struct Walked {
    std::uint32_t context = 0;  // 0: none
    std::uint64_t changes = 0;  // read before the walk
  };
  // Contexts that one walk may need: one for each domain from the device down.
  static constexpr std::uint32_t most_in_a_walk = 64;
  static constexpr unsigned contexts_lg2 = 13;
  static_assert(bit(contexts_lg2) > Iotlb::most_contexts);

  Lookaside(Host const& host, Iotlb own, Iotlb parents, Iotlb tables, Mapping contexts);

  // With TBI an invalidation may name another of the addresses that it means: those with something else in the top byte.
  static bool is_plain(std::uint64_t input) {
    std::uint64_t const top = input >> top_bits;
    return top == 0 || top == low_bits(64 - top_bits);
  }
  static constexpr unsigned top_bits = 55;  // what decides is bit 55
  static bool is_coarse(Domain const& domain, std::uint64_t input, Translation const& t, unsigned lg2);

  // Makes `last` one about `key` that serves nothing yet. False: what the key is attached to is to be looked up.
  bool remember(std::uint64_t key);
  // 0: all are used up.
  std::uint32_t context(Table const& table, std::uint64_t generation, std::uint32_t directed);
  void forget_everything();
  Kept keep_in(Table& table, Domain const& domain, std::uint64_t input, Range block, Translation const& t, Access access,
               std::uint32_t context, std::uint64_t changes);
  // The context that translations of the parent are kept under; 0: none.
  std::uint32_t context_of(Domain const& parent);

  Table own_, parents_;
  Iotlb tables_;  // of level 0, by their inputs
  Walked walked_;
  std::array<Remembered, 64> remembered_{};
  Mapping contexts_;  // a hash table of Context
  std::uint32_t last_context_ = 0;
  Context parent_;  // met last
  MemoryView const& memory_;
  std::atomic<std::uint64_t> const* const removals_;
  std::array<Row, 4> rows_{};
  std::size_t oldest_row_ = 0;
};

}  // namespace swiommu
