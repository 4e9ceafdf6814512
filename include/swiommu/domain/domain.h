// A domain: one node of the tree of translations.
//
//   IdentityDomain   outputs what comes in
//   BlockingDomain   translates nothing
//   PagingDomain     first level: a page table of our own
//   NestedDomain     second level: a user page table, read through its parent (two-dimensional walk)
//   ContextDomain    second level: finds the user page table of each PASID in a context directory of the user
//   ShadowDomain     second level: a table of our own that composes a user page table and its parent
//
// Every domain is a MemoryView as well: memory as the users of its input addresses see it. That is how a nested domain reads
// its page table: through its parent's view.
//
// Threads: translate() and locate() from anywhere, but a caller that may run beside unmap, replace or invalidate must be
// inside a guard of an Epoch that is registered with the domain (device/ does that for ports), because tables and memory
// are reused once the grace period is over. Lock order: parent before child, listeners_ before a shadow's own mutex.
// Whoever waits for guards holds the domain's lock meanwhile. So domains are not created (EDEADLK), and the last reference to
// one that has a parent is not dropped, by a thread that is inside a guard.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/base/range.h"
#include "swiommu/domain/host.h"
#include "swiommu/domain/kept_translations.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

class Domain;

enum class DomainKind : std::uint8_t { identity, blocking, paging, nested, shadow };
std::string_view name(DomainKind kind);

// The outcome of translating one address through a domain and everything under it.
struct Translation {
  Reason reason = Reason::none;
  Domain const* where = nullptr;  // the domain of the tree that faulted; this one or one under it
  Walk walk;                      // the walk there: what was looked at last
  std::uint64_t output = 0;       // host address of the input
  std::uint8_t size_lg2 = 0;      // the aligned block of inputs around the input that translates alike
  Attributes attributes;          // rights left at the end; memory type of the level closest to the device
  std::byte* data = nullptr;      // the memory behind the input, where a ParentReader knows it for the whole block

  [[nodiscard]] bool ok() const { return reason == Reason::none; }
};

// Log2 of the aligned block of inputs around the one that `fault` is about that is as empty, as far as the walk shows.
unsigned hole_lg2(Domain const& domain, Translation const& fault);

// What a domain allows whatever its table says.
struct Limits {
  Range aperture = Range::all();   // inputs outside are out_of_range
  Access rights = Access::both();  // rights on everything
  bool writable_only = false;      // a paging domain maps nothing that cannot be written
};

class Domain : public MemoryView {
 public:
  ~Domain() override;

  [[nodiscard]] virtual DomainKind kind() const = 0;
  [[nodiscard]] Host const& host() const { return host_; }
  [[nodiscard]] std::shared_ptr<Domain> const& parent() const { return parent_; }  // nothing at the root of the tree
  [[nodiscard]] Limits const& limits() const { return limits_; }

  // Translates an input for an access, down to the host address. With Update::yes accessed and dirty flags are written, in
  // all tables on the way that keep them. A PASID only if directs_pasids(). `reader`: who keeps translations of the parents, if
  // anybody does; only with Update::yes.
  [[nodiscard]] Translation translate(std::uint64_t input, Access access, Update update,
                                      std::optional<std::uint32_t> pasid = std::nullopt, ParentReader* reader = nullptr) const;

  // The short way to most pages of a user whose lowest tables are known: what translate() would give for a page of 4 KiB, if all
  // that leads there is kept by the reader and no flag is to be set. Without data: ask translate(). Not for directed PASIDs.
  [[nodiscard]] virtual KeptBlock page_through(ParentReader& reader, std::uint64_t input, Access access) const {
    (void)reader, (void)input, (void)access;
    return {};
  }

  // Does DMA with a PASID that is attached to nothing itself go through the domain of its device, which finds a table for it?
  [[nodiscard]] virtual bool directs_pasids() const { return false; }

  // The bytes behind an input address. Sets accessed and dirty flags as a device's access would.
  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override;

  [[nodiscard]] bool doubtful() const final { return host_.memory->doubtful(); }

  // Everything that anybody cached from the translation of these inputs is gone when this returns, in-flight DMA included.
  // EDEADLK if the calling thread is inside a guard. A shadow domain is brought up to date: see there for more errors.
  virtual Result<void> invalidate(Range inputs);

  // A number that no other domain of the host has, and no other state of this one: a new one with each invalidation of this
  // domain, or of one under it, that is not of few inputs. A translation that is kept is good as long as the generation is the
  // one that was read before its walk, and no invalidation of its inputs came between (KeptTranslations).
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  // The last input, up to `last`, to which inputs go on being translated as `first` says of `input`, as far as it is cheap to
  // know. Inside a guard.
  [[nodiscard]] virtual std::uint64_t end_of_run(std::uint64_t input, Translation const& first, std::uint64_t last) const {
    return std::min(last, Range::block(input, first.size_lg2).last);
  }

  // Does an access set accessed or dirty flags, in this domain's own tables or in those under it?
  [[nodiscard]] virtual bool keeps_flags() const { return parent_ && parent_->keeps_flags(); }

  // Whoever uses translations registers the epoch that its guards announce themselves in, and what it keeps of them. The domain
  // must outlive the registration. ENOMEM. EDEADLK. Removing never fails; not inside a guard.
  Result<void> add_listener(Epoch& epoch, KeptTranslations* kept = nullptr);
  void remove_listener(Epoch& epoch) noexcept;

 protected:
  Domain(Host host, std::shared_ptr<Domain> parent, Limits limits);

  // The translation without the limits.
  [[nodiscard]] virtual Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const = 0;
  // The same with a PASID. Only if directs_pasids().
  [[nodiscard]] virtual Translation look_up_pasid(std::uint64_t input, Access access, Update update, std::uint32_t pasid,
                                                  ParentReader* reader) const {
    (void)input, (void)access, (void)update, (void)pasid, (void)reader;
    return {.reason = Reason::configuration, .where = this};
  }

  [[nodiscard]] bool is_unlimited() const { return unlimited_; }
  [[nodiscard]] static bool is_unlimited(Limits const& limits) {
    return limits.aperture == Range::all() && limits.rights == Access::both();
  }
  // What `look_up` gives, within the limits; of this domain.
  template <class LookUp>
  [[nodiscard]] Translation limited(Limits const& limits, std::uint64_t input, Access access, LookUp look_up) const {
    if (is_unlimited(limits)) return look_up();
    if (!limits.aperture.contains(input)) return {.reason = Reason::out_of_range, .where = this};
    if (!limits.rights.covers(access)) return {.reason = Reason::permission, .where = this};
    return clipped(limits, input, look_up());
  }

  // What is left of a translation within the limits.
  static Translation clipped(Limits const& limits, std::uint64_t input, Translation t);

  // The parent has dropped, or gained, translations of these guest addresses. Called before the parent's grace period. Both
  // pass it on to the children, unless overridden.
  virtual void parent_lost(Range guest) noexcept;
  virtual void parent_gained(Range guest) noexcept;

  // The two halves of invalidate(), for domains that change a table in between.
  void make_stale(Range inputs) noexcept;
  void tell_gained(Range inputs) noexcept;
  void wait_for_listeners() noexcept;

  // ENOMEM. EDEADLK. To be called once the object is complete: the parent's changes are told from then on.
  Result<void> join_parent();
  // First of all in the destructor of each class whose objects join: until then the parent may call the virtual functions.
  void leave_parent() noexcept;

 private:
  Host const host_;
  std::shared_ptr<Domain> const parent_;
  Limits const limits_;
  bool const unlimited_ = is_unlimited(limits_);
  std::atomic<std::uint64_t> generation_;
  bool joined_ = false;  // to parent_; used while the domain is made and destroyed
  SharedMutex listeners_;
  std::vector<Epoch*> epochs_ SWIOMMU_GUARDED_BY(listeners_);           // of this domain and of all above it
  std::vector<KeptTranslations*> kept_ SWIOMMU_GUARDED_BY(listeners_);  // of each epoch; nullptr: nothing
  std::vector<Domain*> children_ SWIOMMU_GUARDED_BY(listeners_);
};

}  // namespace swiommu
