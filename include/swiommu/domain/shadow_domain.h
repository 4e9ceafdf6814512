// The shadow domain: second level for hardware that walks one table only.
//
// A table of our own holds the composition of the user page table and the parent: iovas in, host addresses out. It is
// brought up to date when the user invalidates (zPCI: RPCIT), and by itself when the parent changes. Unlike the nested domain it
// remembers "not mapped": a user must invalidate after making an entry present as well, and the emulated hardware must
// announce that.
//
// A refresh may be done in steps, each of which takes its lock, looks at a limited number of words, and lets others in before the
// next. What it finds unchanged costs no memory.
#pragma once
#include <atomic>

#include "swiommu/domain/nested_domain.h"

namespace swiommu {

class AskedMemory;

// How far a refresh that is done in steps has come. Plain data: who gives up drops it, and what was done is done.
struct RefreshProgress {
  Range iovas;                // all that is to be refreshed: whole pages
  std::uint64_t next = 0;     // up to here, exclusive, it is
  std::uint64_t hole = 0;     // from here to `next` the shadow is empty, unless others have changed it since,
  std::uint64_t changes = 0;  // which this shows
  bool finished = false;      // all is
  bool missing = false;       // there was no memory for some of it: not mapped in the shadow, as nothing old is either
  bool given_back = false;    // tables were, so that what was missing may find room
  bool second_pass = false;   // for which it is looked at once more
};

class ShadowDomain final : public Domain {
 public:
  // The format of our own table unless told otherwise: 64-bit inputs, 52-bit outputs, every power-of-two page size.
  static constexpr FormatConfiguration default_format{.format = FormatName::amd_v1, .levels = 6};

  // Words of the user page table, or pieces of its leaves, that one refresh looks at unless told otherwise: 256 GiB of 4 KiB
  // pages. A hostile table can say that everything is mapped, and keep us busy for ever.
  static constexpr std::uint64_t default_budget = std::uint64_t{1} << 26;

  // Words that a step looks at where nobody says how many.
  static constexpr std::uint64_t default_step = std::uint64_t{1} << 14;

  // `table` as for NestedDomain. The shadow starts empty; refresh(Range::all()) fills it. `format` should be one that can
  // express all rights: what it must add to them, as reading to writing, devices get. The shadow's tables come from `tables`, or
  // from the host's if that is nullptr: an allocator with a limit bounds the memory that a user can make us spend. EINVAL: no
  // such format, or one with larger pages or fewer inputs than the user's. ENOMEM.
  static Result<std::shared_ptr<ShadowDomain>> create(std::shared_ptr<Domain> parent, UserPageTable const& table,
                                                      Limits limits = {}, FormatConfiguration const& format = default_format,
                                                      std::uint64_t budget = default_budget,
                                                      std::shared_ptr<TableAllocator> const& tables = nullptr);
  ~ShadowDomain() override;
  DomainKind kind() const override { return DomainKind::shadow; }
  [[nodiscard]] bool keeps_flags() const override { return flags_; }

  // Brings the shadow of these iovas up to date with the user page table and the parent, and of all others that may have shared a
  // leaf with them. When it returns, no DMA uses anything older. Entries that have not changed stay as they are, DMA through them
  // is not disturbed. Accessed and dirty flags of the user page table and of the parent are set now, for all that can be accessed
  // or written from now on.
  // ENOMEM; E2BIG: the budget is used up. The shadow of these iovas is empty then, or all of it. EDEADLK.
  Result<void> refresh(Range iovas);

  // The same in steps: `auto progress = begin_refresh(iovas); while (!*refresh_some(progress, words)) ...`. A step reads at most
  // `words` words of the user page table (16 at least), and touches about as many of the shadow; it gives true when all is done.
  // Each iova's value is one that its path had in the step that came to it, or later. When there is no memory for a part
  // (progress.missing at the end), the rest is done all the same: what is mapped stays in use, and what the user has taken away
  // makes room, for which all is looked at a second time. So a refresh of everything finds room for any user page table whose
  // shadow the limit allows. ENOMEM: all of the shadow is empty. EDEADLK.
  [[nodiscard]] RefreshProgress begin_refresh(Range iovas) const;
  Result<bool> refresh_some(RefreshProgress& progress, std::uint64_t words = default_step);

  // The same.
  Result<void> invalidate(Range iovas) override { return refresh(iovas); }

  // What the shadow holds: iovas to host addresses. Not beside refresh or changes of the parent.
  bool visit(Range iovas, FunctionRef<bool(Leaf const&)> visit) const { return shadow_->visit(iovas, visit); }

 private:
  struct Step;

  ShadowDomain(Host const& host, std::shared_ptr<Domain> const& parent, UserPageTable const& table, Limits limits,
               std::uint64_t budget);
  Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const override;
  void parent_lost(Range guest) noexcept override { follow_parent(guest); }
  void parent_gained(Range guest) noexcept override { follow_parent(guest); }
  void follow_parent(Range guest) noexcept SWIOMMU_EXCLUDES(mutex_);
  [[nodiscard]] Result<void> check_format() const;
  [[nodiscard]] std::uint64_t untagged(std::uint64_t iova) const;
  [[nodiscard]] unsigned page_lg2() const;

  Result<void> all_steps(RefreshProgress& progress) noexcept SWIOMMU_EXCLUDES(mutex_);
  Result<bool> step(RefreshProgress& progress, std::uint64_t words) noexcept SWIOMMU_EXCLUDES(mutex_);
  void empty(Range iovas) noexcept SWIOMMU_EXCLUDES(mutex_);
  void finish(Gather& gather, Range iovas, bool removed) noexcept SWIOMMU_REQUIRES(mutex_);
  void unmap_all(Gather& gather) noexcept SWIOMMU_REQUIRES(mutex_);

  // shadow_composition.cc
  Result<bool> compose_halves(Step& step) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose(Range iovas, Step& step) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose_run(Leaf const& run, Step& step) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose_leaf(Leaf const& leaf, Access rights, Step& step) SWIOMMU_REQUIRES(mutex_);
  Result<bool> drop(std::uint64_t last, Step& step) SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] Access usable(Leaf const& leaf, std::uint64_t iova) const;
  struct Under {
    Translation translation;
    std::uint64_t last;  // of the guest addresses that go on so
  };
  [[nodiscard]] Under usable_in_parent(std::uint64_t guest, std::uint64_t last, Access rights, Step& step) const;
  Result<void> set(Range iovas, std::uint64_t output, Attributes attributes, Step& step) SWIOMMU_REQUIRES(mutex_);
  Result<void> clear(Range iovas, Step& step) SWIOMMU_REQUIRES(mutex_);

  std::unique_ptr<AskedMemory> const asked_;    // the parent, for steps: under mutex_
  std::unique_ptr<PageTable> user_;             // read through it
  std::unique_ptr<PageTable> why_;              // the same table, read through the parent, to explain faults
  std::unique_ptr<PageTable> shadow_;           // changed only under mutex_
  bool const ignores_top_byte_;                 // Arm TBI: iovas that differ in it are one
  std::atomic<unsigned> largest_leaf_lg2_ = 0;  // of the user's table, as far as it was taken in; written under mutex_
  bool flags_ = false;
  std::uint64_t const budget_;
  Mutex mutex_;                                           // held for one step at a time
  std::uint64_t changes_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // counts what is put into the shadow
  Epoch epoch_;                                           // our own guard over the parent's tables while we read them
  bool listens_ = false;
};

}  // namespace swiommu
