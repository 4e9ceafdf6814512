#include "swiommu/domain/relocations.h"

#include <algorithm>
#include <cerrno>

#include "domain/io_address_space_state.h"
#include "memory/movable_pages.h"
#include "memory/own_mappings.h"
#include "memory/place.h"

namespace swiommu {
namespace {

// The whole pages that hold a byte of it, as pointers.
Range whole_pages(void const* data, std::uint64_t length) {
  auto const start = reinterpret_cast<std::uintptr_t>(data);
  std::uint64_t const last = start + std::min(std::max<std::uint64_t>(length, 1) - 1, ~start);
  return {align_down(start, host_page_lg2), last | low_bits(host_page_lg2)};
}

// Pinned pages of one user's memory that lie in a row.
struct Holding {
  std::shared_ptr<Pages> owner;
  Range pages;
  HostAddress place;  // of the start of the first

  [[nodiscard]] MovablePages& movable() const { return *owner->backing().movable(); }
  [[nodiscard]] Range host() const { return {place.value, place.value + (pages.length() << host_page_lg2) - 1}; }
  // The part of it that lies there, if any.
  [[nodiscard]] std::optional<Holding> within(Range host_addresses) const {
    auto const part = host().intersection(host_addresses);
    if (!part) return std::nullopt;
    std::uint64_t const first = pages.start + ((part->start - place.value) >> host_page_lg2);
    return Holding{owner, {first, pages.start + ((part->last - place.value) >> host_page_lg2)}, HostAddress(part->start)};
  }
};

// Iovas of an area that lead to such pages.
struct Mapped {
  AreaTable* table;
  Area const* area;
  Range iovas;
};

// The iovas of an area behind these pages, which it has bytes of.
Range iovas_of(Area const& area, Range pages) {
  std::uint64_t const skipped = area.pages->backing().page_offset() + area.offset;  // from the first page to iovas.start
  std::uint64_t const first = pages.start << host_page_lg2, behind = (pages.last + 1) << host_page_lg2;
  std::uint64_t const last = area.iovas.last - area.iovas.start;
  return {area.iovas.start + (first > skipped ? first - skipped : 0), area.iovas.start + std::min(last, behind - skipped - 1)};
}

Range pages_of(Area const& area) {
  std::uint64_t const first = area.pages->backing().page_offset() + area.offset;
  return {first >> host_page_lg2, (first + (area.iovas.last - area.iovas.start)) >> host_page_lg2};
}

void join(std::vector<Holding>& holdings) {
  std::ranges::sort(holdings, [](Holding const& a, Holding const& b) {
    return std::tie(a.owner, a.pages.start, a.pages.last) < std::tie(b.owner, b.pages.start, b.pages.last);
  });
  std::vector<Holding> joined;
  for (Holding const& each : holdings) {
    if (joined.empty() || joined.back().owner != each.owner || joined.back().pages.last + 1 < each.pages.start ||
        each.place.value - joined.back().place.value != (each.pages.start - joined.back().pages.start) << host_page_lg2)
      joined.push_back(each);
    else
      joined.back().pages.last = std::max(joined.back().pages.last, each.pages.last);
  }
  holdings = std::move(joined);
}

}  // namespace

// One move: all address spaces are locked, and know what is pinned in a range.
class Relocations::Turn {
 public:
  Turn(Relocations& owner, Range pointers) : move_(*owner.memory_->moves()), memory_(*owner.memory_) {
    wanted_.start = memory_.address_of(std::bit_cast<void*>(pointers.start)).value;
    wanted_.last = wanted_.start + (pointers.length() - 1);
    {
      Lock const lock(owner.mutex_);
      std::erase_if(owner.spaces_, [](auto const& space) { return space.expired(); });
      spaces_.reserve(owner.spaces_.size());
      for (auto const& space : owner.spaces_) {
        if (auto here = space.lock()) spaces_.push_back(std::move(here));
      }
    }
    lock();
  }
  ~Turn() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    holdings_.clear();
    for (auto const& space : spaces_) space->mutex_.unlock();
  }
  Turn(Turn const&) = delete;
  Turn& operator=(Turn const&) = delete;

  [[nodiscard]] HostAddressSpace& memory() { return memory_; }
  [[nodiscard]] std::vector<Holding> const& holdings() const { return holdings_; }

  // Finds what is pinned. May throw std::bad_alloc.
  void look() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    for (auto const& space : spaces_) {
      AreaTable& table = space->state_->table;
      for (auto const& entry : table.areas()) look_at(table, entry.value);
    }
    join(holdings_);
  }

  // From here on no DMA uses what was found, until resume().
  void suspend() noexcept {
    for (Mapped& each : mapped_) each.iovas = each.table->suspend(*each.area, each.iovas);
  }
  void resume() noexcept {
    for (Mapped const& each : mapped_) each.table->resume(*each.area, each.iovas);
  }

 private:
  void lock() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    for (auto const& space : spaces_) space->mutex_.lock();
  }

  void look_at(AreaTable& table, Area const& area) {
    MovablePages const* const movable = area.pages->backing().movable();
    if (movable == nullptr) return;
    struct InRow {
      Range pages, host;
    };
    std::vector<InRow> rows;
    movable->for_each_in(wanted_, [&](Range pages, Range host) {
      if (pages_of(area).overlaps(pages)) rows.push_back({pages, host});
    });
    for (auto const& [pages, host] : rows) {
      area.pages->for_each_pinned(*pages_of(area).intersection(pages), [&](Range pinned) {
        mapped_.push_back({&table, &area, iovas_of(area, pinned)});
        holdings_.push_back({area.pages, pinned, HostAddress(host.start + ((pinned.start - pages.start) << host_page_lg2))});
      });
    }
  }

  Moves::Move const move_;
  HostAddressSpace& memory_;
  Range wanted_;  // host addresses
  std::vector<std::shared_ptr<IoAddressSpace>> spaces_;
  std::vector<Holding> holdings_;
  std::vector<Mapped> mapped_;
};

Result<void> Relocations::add(std::shared_ptr<IoAddressSpace> const& space) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    std::erase_if(spaces_, [](auto const& other) { return other.expired(); });
    spaces_.push_back(space);
    return {};
  });
}

bool Relocations::concerns(void const* data, std::uint64_t length) const {
  return any() && memory_->pinned_places().overlaps(whole_pages(data, length));
}

namespace {

// The parts of what is pinned that lie in one mapping each.
struct Step {
  std::shared_ptr<Place> place;   // nothing: there is no mapping
  std::vector<Holding> holdings;  // in it; separated
  bool shared = false;
};
using Plan = std::vector<Step>;

// The host addresses of all of them, joined.
std::vector<Range> runs_of(std::vector<Holding> const& holdings) {
  std::vector<Range> runs;
  runs.reserve(holdings.size());
  for (Holding const& each : holdings) runs.push_back(each.host());
  std::ranges::sort(runs, {}, &Range::start);
  std::vector<Range> joined;
  for (Range const run : runs) {
    if (joined.empty() || joined.back().last + 1 < run.start)
      joined.push_back(run);
    else
      joined.back().last = std::max(joined.back().last, run.last);
  }
  return joined;
}

// `range` of pointers, from a place on which is nothing if nothing is mapped there. May throw std::bad_alloc.
Result<void> add_step(Plan& plan, HostAddressSpace& memory, std::vector<Holding> const& holdings, Range range, Step step) {
  std::uint64_t const first = memory.address_of(std::bit_cast<void*>(range.start)).value;
  for (Holding const& each : holdings) {
    auto part = each.within({first, first + (range.length() - 1)});
    if (!part) continue;
    SWIOMMU_TRY(part->movable().separate(part->pages));
    step.holdings.push_back(std::move(*part));
  }
  plan.push_back(std::move(step));
  return {};
}

// Does not change what anybody can see. May throw std::bad_alloc.
Result<Plan> make_plan(HostAddressSpace& memory, std::vector<Holding> const& holdings, Relocations::Way way) {
  Plan plan;
  for (Range const run : runs_of(holdings)) {
    auto const start = reinterpret_cast<std::uintptr_t>(memory.pointer(HostAddress(run.start)));
    Range const pointers{start, start + (run.length() - 1)};
    auto const mappings = own_mappings(pointers);
    if (!mappings) return std::unexpected(mappings.error());
    std::uint64_t next = pointers.start;
    for (auto const& [range, shared] : *mappings) {
      if (range.start > next) SWIOMMU_TRY(add_step(plan, memory, holdings, {next, range.start - 1}, {}));
      next = range.last + 1;
      if (way == Relocations::Way::move_private && shared) continue;
      auto place = Place::take(memory, range);
      if (!place) return std::unexpected(place.error());
      SWIOMMU_TRY(add_step(plan, memory, holdings, range, {std::move(*place), {}, shared}));
    }
    if (next <= pointers.last) SWIOMMU_TRY(add_step(plan, memory, holdings, {next, pointers.last}, {}));
  }
  return plan;
}

void carry_out(HostAddressSpace& memory, Step const& step, Relocations::Way way) noexcept {
  for (Holding const& each : step.holdings) each.movable().take_away(each.pages);
  if (!step.place) return;
  bool arrived = way != Relocations::Way::copy && step.place->move();
  if (!arrived && (way == Relocations::Way::copy || !step.shared)) arrived = step.place->copy();
  if (!arrived) return;
  for (Holding const& each : step.holdings) {
    auto const pointer = reinterpret_cast<std::uintptr_t>(memory.pointer(each.place));
    (void)each.movable().put(each.pages, step.place->address(pointer), step.place);
  }
}

}  // namespace

Result<void> Relocations::move_aside(void const* data, std::uint64_t length, Way way) {
  if (length == 0 || !concerns(data, length)) return {};
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Turn turn(*this, whole_pages(data, length));
    turn.look();
    if (turn.holdings().empty()) return {};
    auto const plan = make_plan(turn.memory(), turn.holdings(), way);
    if (!plan) return std::unexpected(plan.error());
    turn.suspend();
    for (Step const& step : *plan) carry_out(turn.memory(), step, way);
    turn.resume();
    return {};
  });
}

namespace {

// Keeps a place in the program's own mappings known as one where memory is pinned.
class Followed {
 public:
  static std::shared_ptr<void const> create(HostAddressSpace& memory, Range pointers) {
    auto made = guarded([&]() -> Result<std::shared_ptr<Followed>> {
      auto followed = std::make_shared<Followed>(memory, pointers);
      SWIOMMU_TRY(memory.pinned_places().add(pointers));
      followed->added_ = true;
      return followed;
    });
    return made ? std::move(*made) : nullptr;
  }
  Followed(HostAddressSpace& memory, Range pointers) : memory_(memory), pointers_(pointers) {}
  Followed(Followed const&) = delete;
  Followed& operator=(Followed const&) = delete;
  ~Followed() {
    if (added_) memory_.pinned_places().remove(pointers_);
  }

 private:
  HostAddressSpace& memory_;
  Range const pointers_;
  bool added_ = false;
};

}  // namespace

void* Relocations::follow(void const* data, std::uint64_t length, FunctionRef<void*()> remap) {
  if (length == 0 || !concerns(data, length) || guards_held() != 0) return remap();
  Range const from = whole_pages(data, length);
  bool called = false;
  void* result = nullptr;
  int code = 0;
  auto const done = guarded([&]() -> Result<void> {
    Turn turn(*this, from);
    turn.look();
    for (Holding const& each : turn.holdings()) SWIOMMU_TRY(each.movable().separate(each.pages));
    turn.suspend();
    result = remap();
    called = true;
    code = errno;
    if (result != nullptr && result != data) {
      auto const to = reinterpret_cast<std::uintptr_t>(result);
      auto const keeper = Followed::create(turn.memory(), {to, to + (from.length() - 1)});
      HostAddress const old = turn.memory().address_of(std::bit_cast<void*>(from.start));
      HostAddress const now = turn.memory().address_of(result);
      for (Holding const& each : turn.holdings()) {
        each.movable().take_away(each.pages);
        if (keeper) (void)each.movable().put(each.pages, now + (each.place.value - old.value), keeper);
      }
    }
    turn.resume();
    return {};
  });
  if (!done && !called) {
    errno = done.error().code;
    return nullptr;
  }
  errno = code;
  return result;
}

void Relocations::lose(void const* data, std::uint64_t length) noexcept {
  if (length == 0 || !concerns(data, length) || guards_held() != 0) return;
  (void)guarded([&]() -> Result<void> {
    Turn turn(*this, whole_pages(data, length));
    turn.look();
    turn.suspend();
    for (Holding const& each : turn.holdings()) {
      (void)each.movable().separate(each.pages);
      each.movable().take_away(each.pages);
    }
    turn.resume();
    return {};
  });
}

}  // namespace swiommu
