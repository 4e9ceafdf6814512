// Guests of each hardware do what their drivers do, through ioctls alone, while devices do DMA. What DMA meets is one of the
// values that the table has held since the last invalidation that covers it, by a model that knows nothing of walks and caches.
#include <algorithm>
#include <sstream>

#include "guests/amd_guest.h"
#include "guests/raw_guest.h"
#include "guests/riscv_guest.h"
#include "guests/smmuv3_guest.h"
#include "guests/vtd_guest.h"
#include "guests/zpci_guest.h"
#include "nesting/user_table.h"

namespace swiommu::guests {
namespace {

using nesting::any_of;
using nesting::below;
using nesting::one_in;
using nesting::unit_size;
using nesting::UserTable;
using nesting::UserValue;

class GuestHistory : public Machine, public testing::WithParamInterface<GuestKind> {
 protected:
  void begin() {
    start(GetParam().profile);
    hardware_ = GetParam().make(*this, random_);
    port_ = physical().device()->open_port().value();
    std::size_t const count = hardware_->contexts().size();
    contexts_.resize(count);
    places_ = split(GuestMemory::tables, count + 1);
    for (unsigned n = 0; n < count; n++) switch_table(n);
  }
  void TearDown() override {
    port_ = nullptr;
    hardware_ = nullptr;
    Machine::TearDown();
  }

  void steps(unsigned count) {
    for (step_ = 0; step_ < count && !HasFailure(); step_++) {
      settle_due();
      auto const n = static_cast<unsigned>(below(random_, contexts_.size()));
      if (one_in(random_, 60))
        switch_table(n);
      else if (one_in(random_, 6))
        edit(n);
      else
        access(n);
    }
    if (HasFailure()) return;
    for (Due const& due : due_) invalidate(due.context, due.range);
    due_.clear();
    for (unsigned n = 0; n < contexts_.size(); n++) all_is_exact(n);
  }

  Random random_{nesting::seed()};

 private:
  struct Context {
    std::unique_ptr<UserTable> table;   // nothing: none yet
    Range place{};                      // where it lies
    std::unique_ptr<UserTable> before;  // while the table is being switched: what may be used, too
    bool switching = false;
  };
  struct Due {
    std::uint64_t step;
    unsigned context;
    Range range;
  };

  static std::vector<Range> split(Range whole, std::size_t parts) {
    std::vector<Range> places;
    std::uint64_t const length = align_down(whole.length() / parts, 16);
    for (std::size_t n = 0; n < parts; n++) places.push_back({whole.start + n * length, whole.start + (n + 1) * length - 1});
    return places;
  }

  // A new table, in memory that the last table to be given up was in.
  void switch_table(unsigned n) {
    Context& context = contexts_[n];
    Range const place = places_.back();
    places_.pop_back();
    for (std::uint64_t at = place.start; at < place.last; at += 8) memory().word(at) = 0;
    auto table = std::make_unique<UserTable>(hardware_->format(n), memory(), place, random_);
    for (int edits = 0; edits < 8; edits++) table->edit();
    table->model.invalidate(Range::all());

    auto const steps = hardware_->steps_to(n, table->description);
    std::erase_if(due_, [&](Due const& due) { return due.context == n; });
    context.before = std::exchange(context.table, std::move(table));
    context.switching = true;
    for (auto const& step : steps) {
      for (std::uint64_t count = below(random_, 4); count > 0; count--) access(n);
      step();
    }
    context.switching = false;
    context.before = nullptr;
    // whoever still walks the table before walks through this
    if (context.place.last != 0) {
      for (std::uint64_t at = context.place.start; at < context.place.last; at += 8) memory().word(at) = random_();
      places_.push_back(context.place);
    }
    context.place = place;
  }

  void edit(unsigned n) {
    auto const range = contexts_[n].table->edit();
    if (!range) return;
    recent_.push_back(*range);
    if (recent_.size() > 8) recent_.erase(recent_.begin());
    std::uint64_t const late = one_in(random_, 3) ? 0 : below(random_, 200);
    due_.push_back({step_ + late, n, one_in(random_, 12) ? Range::all() : *range});
  }
  void settle_due() {
    for (std::size_t i = 0; i < due_.size();)
      if (due_[i].step <= step_) {
        Due const due = due_[i];
        due_.erase(due_.begin() + static_cast<std::ptrdiff_t>(i));
        invalidate(due.context, due.range);
      } else {
        i++;
      }
  }
  void invalidate(unsigned n, Range range) {
    hardware_->invalidate(n, range);
    contexts_[n].table->model.invalidate(range);
    if (range == Range::all()) contexts_[n].table->all_invalidated();
    // what has just been invalidated is what an invalidation that does too little would show
    for (int count = 0; count < 3; count++)
      access(n, range == Range::all() ? any_iova(n)
                                      : range.start + below(random_, std::min<std::uint64_t>(range.length(), 1 << 20)));
  }

  std::uint64_t any_iova(unsigned n) {
    if (!recent_.empty() && one_in(random_, 2)) {
      Range const range = any_of(random_, recent_);
      return range.start + below(random_, std::min<std::uint64_t>(range.length() - 1, 4 * unit_size) + 1);
    }
    return contexts_[n].table->any_iova();
  }

  static bool in_memory(std::uint64_t address) {
    return GuestMemory::data.contains(address) || GuestMemory::tables.contains(address) ||
           GuestMemory::structures.contains(address);
  }
  static bool allows(UserValue const& value, Access access) {
    return value.present && value.rights.covers(access) && in_memory(value.guest);
  }
  // What an access may meet.
  std::vector<UserValue> possible(Context const& context, std::uint64_t iova) {
    auto values = context.table->model.possible(iova);
    if (context.before) {
      auto const old = context.before->model.possible(iova);
      values.insert(values.end(), old.begin(), old.end());
    }
    return values;
  }
  bool may_fault(Context const& context, std::uint64_t iova, Access access) {
    if (context.switching) return true;
    if (!allows(context.table->model.current(iova), access)) return true;
    if (!hardware_->remembers_faults()) return false;
    return !std::ranges::all_of(possible(context, iova), [&](UserValue const& value) { return allows(value, access); });
  }

  void access(unsigned n) {
    if (contexts_[n].table) access(n, any_iova(n));
  }
  void access(unsigned n, std::uint64_t anywhere_in_page) {
    Context const& context = contexts_[n];
    std::uint64_t const iova = align_down(anywhere_in_page, 12);
    bool const reads = one_in(random_, 2);
    Access const access = reads ? Access::reading() : Access::writing();
    // the lower half of a page says where it is, the upper half is written to
    std::uint64_t const offset = align_down(below(random_, unit_size / 2 - 8), 3) + (reads ? 0 : unit_size / 2);
    auto const pasid = hardware_->contexts().at(n);
    std::uint64_t word = reads ? 0 : random_();
    DmaResult const result =
        reads ? port_->read(Iova(iova + offset), &word, 8, pasid) : port_->write(Iova(iova + offset), &word, 8, pasid);
    std::ostringstream about;
    about << "context " << n << ", step " << step_ << (context.switching ? ", switching" : "") << ", iova 0x" << std::hex << iova
          << (reads ? ", read 0x" : ", write 0x") << word;
    if (!result.ok()) {
      EXPECT_TRUE(may_fault(context, iova, access)) << about.str() << " faults: " << describe(*result.fault);
      return;
    }
    auto const values = possible(context, iova);
    EXPECT_TRUE(std::ranges::any_of(values, [&](UserValue const& value) {
      if (!allows(value, access)) return false;
      return reads && GuestMemory::data.contains(value.guest) ? word == value.guest + offset
                                                              : memory().word(value.guest + offset) == word;
    })) << about.str();
  }

  // Nothing is outstanding.
  void all_is_exact(unsigned n) {
    Context const& context = contexts_[n];
    auto const pasid = hardware_->contexts().at(n);
    for (Range const& window : context.table->windows())
      for (std::uint64_t iova = window.start; window.contains(iova); iova += unit_size) {
        UserValue const value = context.table->model.current(iova);
        std::uint64_t word = 0;
        bool const ok = port_->read(Iova(iova + 8), &word, 8, pasid).ok();
        ASSERT_EQ(ok, allows(value, Access::reading())) << "context " << n << ", iova 0x" << std::hex << iova;
        if (ok && GuestMemory::data.contains(value.guest)) {
          ASSERT_EQ(word, value.guest + 8) << "context " << n << ", iova 0x" << std::hex << iova;
        }
        if (window.last - iova < unit_size) break;
      }
  }

  std::unique_ptr<HardwareGuest> hardware_;
  std::unique_ptr<Port> port_;
  std::vector<Context> contexts_;
  std::vector<Range> places_;
  std::vector<Due> due_;
  std::vector<Range> recent_;
  std::uint64_t step_ = 0;
};

TEST_P(GuestHistory, EveryDmaMeetsWhatTheTableHasHeldSinceItsInvalidation) {
  SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(nesting::seed()));
  begin();
  if (HasFatalFailure()) return;
  steps(static_cast<unsigned>(nesting::effort(4000)));
}

template <class Guest>
GuestKind of_hardware(std::string name, std::string profile) {
  return {std::move(name), std::move(profile),
          [](Machine& machine, Random& random) { return std::make_unique<Guest>(machine, random); }};
}

INSTANTIATE_TEST_SUITE_P(Hardware, GuestHistory,
                         testing::Values(of_hardware<VtdGuest>("Vtd", "intel-vtd"),
                                         of_hardware<Smmuv3Guest>("Smmuv3", "arm-smmuv3"), of_hardware<AmdGuest>("Amd", "amd"),
                                         of_hardware<RiscvGuest>("Riscv", "riscv"), of_hardware<ZpciGuest>("Zpci", "s390-zpci")),
                         [](auto const& c) { return c.param.name; });

// Formats that no hardware of these nests are run by their roots.
std::vector<GuestKind> raw_guests() {
  std::vector<GuestKind> kinds;
  for (FormatCase const& format : nesting::user_formats()) {
    if (format.format.upper_half || format.format.top_byte_ignored || !format.format.svnapot) continue;  // not to be said raw
    for (bool const shadow : {false, true})
      kinds.push_back({format.name + (shadow ? "Shadow" : "Nested"), "intel-vtd", [format, shadow](Machine& machine, Random&) {
                         return std::make_unique<RawGuest>(machine, format, shadow);
                       }});
  }
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Raw, GuestHistory, testing::ValuesIn(raw_guests()), [](auto const& c) { return c.param.name; });

}  // namespace
}  // namespace swiommu::guests
