#include "swiommu/domain/domain.h"

#include <algorithm>

namespace swiommu {

std::string_view name(DomainKind kind) {
  switch (kind) {
    case DomainKind::identity: return "identity";
    case DomainKind::blocking: return "blocking";
    case DomainKind::paging: return "paging";
    case DomainKind::nested: return "nested";
    case DomainKind::shadow: return "shadow";
  }
  return "unknown";
}

namespace {

// An invalidation of more is not done input by input: it would cost more than walking again.
constexpr std::uint64_t few_inputs = std::uint64_t{2} << 20;

std::uint64_t next_generation(Host const& host) { return host.generations->fetch_add(1, std::memory_order_relaxed) + 1; }

}  // namespace

Domain::Domain(Host host, std::shared_ptr<Domain> parent, Limits limits)
    : host_(std::move(host)), parent_(std::move(parent)), limits_(limits), generation_(next_generation(host_)) {}

Domain::~Domain() = default;

void Domain::leave_parent() noexcept {
  if (!joined_) return;
  Lock const lock(parent_->listeners_);
  std::erase(parent_->children_, this);
  joined_ = false;
}

Result<void> Domain::join_parent() {
  SWIOMMU_TRY(refuse_inside_guard());  // who waits for this guard holds the lock
  return guarded([&]() -> Result<void> {
    Lock const lock(parent_->listeners_);
    parent_->children_.push_back(this);
    joined_ = true;
    return {};
  });
}

Translation Domain::translate(std::uint64_t input, Access access, Update update, std::optional<std::uint32_t> pasid,
                              ParentReader* reader) const {
  auto const found = [&] {
    return pasid ? look_up_pasid(input, access, update, *pasid, reader) : look_up(input, access, update, reader);
  };
  return unlimited_ ? found() : limited(limits_, input, access, found);
}

Translation Domain::clipped(Limits const& limits, std::uint64_t input, Translation t) {
  t.attributes.access = t.attributes.access & limits.rights;
  while (t.size_lg2 > 0 && !limits.aperture.contains(Range::block(input, t.size_lg2))) t.size_lg2--;
  return t;
}

Chunk Domain::locate(std::uint64_t address, Access access) const {
  Translation const t = translate(address, access, Update::yes);
  if (!t.ok()) return {};
  Chunk chunk = host_.memory->locate(t.output, access);
  if (!chunk) return {};
  std::uint64_t const rest = Range::block(address, t.size_lg2).last - address;  // less one
  if (chunk.length - 1 > rest) chunk.length = rest + 1;
  return chunk;
}

Result<void> Domain::invalidate(Range inputs) {
  SWIOMMU_TRY(refuse_inside_guard());
  make_stale(inputs);
  wait_for_listeners();
  return {};
}

void Domain::make_stale(Range inputs) noexcept {
  SharedLock const lock(listeners_);
  bool const few = inputs.last - inputs.start < few_inputs;
  // Sequentially consistent: before the grace period, whose barrier orders it against every guard.
  if (!few) generation_.store(next_generation(host_), std::memory_order_seq_cst);
  for (KeptTranslations* const kept : kept_) {
    if (kept == nullptr) continue;
    if (few)
      kept->forget(inputs);
    else
      kept->look_again();
  }
  for (Domain* const child : children_) child->parent_lost(inputs);
}

void Domain::tell_gained(Range inputs) noexcept {
  SharedLock const lock(listeners_);
  for (Domain* const child : children_) child->parent_gained(inputs);
}

void Domain::wait_for_listeners() noexcept {
  SharedLock const lock(listeners_);
  if (!epochs_.empty()) host_.grace.wait(epochs_);
}

// Which inputs depend on these guest addresses is not known: all may.
void Domain::parent_lost(Range) noexcept { make_stale(Range::all()); }
void Domain::parent_gained(Range) noexcept { tell_gained(Range::all()); }

Result<void> Domain::add_listener(Epoch& epoch, KeptTranslations* kept) {
  SWIOMMU_TRY(refuse_inside_guard());
  return guarded([&]() -> Result<void> {
    if (parent_) SWIOMMU_TRY(parent_->add_listener(epoch, kept));
    try {
      Lock const lock(listeners_);
      epochs_.reserve(epochs_.size() + 1);
      kept_.push_back(kept);
      epochs_.push_back(&epoch);
    } catch (std::bad_alloc const&) {
      if (parent_) parent_->remove_listener(epoch);
      throw;
    }
    return {};
  });
}

void Domain::remove_listener(Epoch& epoch) noexcept {
  {
    Lock const lock(listeners_);
    // One registration of possibly several: a port may reach a parent on more than one way.
    if (auto const at = std::ranges::find(epochs_, &epoch); at != epochs_.end()) {
      kept_.erase(kept_.begin() + (at - epochs_.begin()));
      epochs_.erase(at);
    }
  }
  if (parent_) parent_->remove_listener(epoch);
}

unsigned hole_lg2(Domain const& domain, Translation const& fault) {
  constexpr unsigned page_lg2 = 12;  // if nothing better is known
  bool const own_table = fault.where == &domain && fault.reason == Reason::not_mapped && domain.kind() != DomainKind::shadow;
  return own_table && fault.walk.size_lg2 > page_lg2 ? fault.walk.size_lg2 : page_lg2;
}

Result<Host> Host::create(std::shared_ptr<MemoryView const> memory) {
  auto tables = TableAllocator::create();
  if (!tables) return std::unexpected(std::move(tables).error());
  auto grace = GracePeriod::create();
  if (!grace) return std::unexpected(std::move(grace).error());
  return guarded([&]() -> Result<Host> { return Host{std::move(memory), std::move(*tables), *grace}; });
}

}  // namespace swiommu
