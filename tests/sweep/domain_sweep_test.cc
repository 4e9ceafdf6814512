// Every allocation of every operation of domains and devices fails once: the error is ENOMEM, nothing has changed, nothing is
// lost (the leak checker looks for that), and everything works afterwards.
#include <optional>

#include "held_guard.h"
#include "sweep.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/fixed_domains.h"

namespace swiommu {
namespace {

constexpr Attributes read_write{.access = Access::both()};

// Drops the value: only whether it worked is of interest.
template <class T>
Result<> outcome_of(Result<T> outcome) {
  if (!outcome) return std::unexpected(std::move(outcome).error());
  return {};
}

struct DomainSweep : testing::Test {
  static constexpr std::uint64_t page = DmaTree::page;
  // All that a user can see, but for what a call is about.
  struct State {
    std::uint64_t tables = 0;
    std::vector<std::shared_ptr<Domain>> attached;
    std::vector<std::uint64_t> outputs;
    bool operator==(State const&) const = default;
  };
  State state() {
    State now{.tables = tree.host.tables->bytes_in_use()};
    std::vector<Domain const*> domains{tree.paging.get(), tree.nested.get(), tree.shadow.get(), other.get()};
    for (Pasid pasid = 0; pasid < 6; pasid++) now.attached.push_back(tree.device->domain(pasid));
    now.attached.push_back(tree.device->domain());
    for (auto const* domain : domains) {
      for (std::uint64_t const at : addresses) {
        auto const t = domain->translate(at, Access::reading(), Update::no);
        now.outputs.push_back(t.ok() ? t.output : ~std::uint64_t{0});
      }
    }
    return now;
  }
  void expect_unchanged(State const& before) {
    EXPECT_TRUE(state() == before);
    // Whoever a failed call has left behind in a list would be met here.
    ASSERT_TRUE(tree.paging->invalidate(Range::all()));
    ASSERT_TRUE(other->invalidate(Range::all()));
    EXPECT_TRUE(state() == before);
  }
  // Does an invalidation of the domain wait for this port, as it should or should not?
  static bool waits_for(Domain& domain, Port& held, bool should) {
    std::atomic<bool> returned = false;
    std::optional<Port::Guard> guard(held);
    std::jthread const thread([&] {
      domain.invalidate(Range::all()).value();
      returned = true;
    });
    bool const waited = should ? !poison::happens_soon(returned) : !happens(returned);
    guard.reset();
    return waited;
  }
  static bool waits_for(Domain& domain, Port& held) { return waits_for(domain, held, true); }
  static bool passes(Domain& domain, Port& held) { return !waits_for(domain, held, false); }

  DmaTree tree{4};
  std::shared_ptr<PagingDomain> other = PagingDomain::create(tree.host, {.levels = 3}).value();
  std::unique_ptr<Port> port = tree.device->open_port().value();
  std::unique_ptr<Port> second = tree.device->open_port().value();
  std::vector<std::uint64_t> addresses{0, page, 3 * page, 4 * page, 0x200000, 0x201000, 0x3ff000, 0x400000, bit(30), bit(38)};
};

TEST_F(DomainSweep, Creating) {
  auto const nothing_left = [&, before = state()] { expect_unchanged(before); };
  auto const both = [&](auto create, bool takes_tables = false) {
    auto const call = [&] { return outcome_of(create()); };
    EXPECT_GT(sweep_new(call, nothing_left), 0u);
    EXPECT_EQ(sweep_tables(*tree.host.tables, call, nothing_left) > 0, takes_tables);
  };
  auto const& user = tree.user->description();
  both([&] { return PagingDomain::create(tree.host, {.levels = 4}); }, true);
  both([&] { return NestedDomain::create(tree.paging, user); });
  both([&] { return NestedDomain::create(tree.paging, user, user); });
  both([&] { return NestedDomain::create(tree.nested, user); });
  both([&] { return ShadowDomain::create(tree.paging, user); }, true);
  both([&] { return ShadowDomain::create(tree.nested, user); }, true);
  both([&] { return IdentityDomain::create(tree.host); });
  both([&] { return IdentityDomain::create(tree.nested); });
  both([&] { return BlockingDomain::create(tree.host); });
  both([&] { return Device::create(tree.host); });
  both([&] { return tree.device->open_port(); });
  both([&] { return open_configuration(tree.paging, {.user = user, .user_upper = user, .parent = user}); });
  both([&] { return open_configuration(tree.paging, {.kind = DeviceConfiguration::Kind::bypass}); });
  EXPECT_GT(sweep_new([&] { return outcome_of(Host::create(tree.memory)); }, nothing_left), 0u);
}

TEST_F(DomainSweep, Attaching) {
  auto const before = state();
  std::shared_ptr<Domain> const deep = NestedDomain::create(tree.nested, tree.user->description()).value();
  Pasid pasid = 3;
  auto const call = [&] { return tree.device->attach(deep, pasid); };
  EXPECT_GT(sweep_new(call,
                      [&] {
                        expect_unchanged(before);
                        EXPECT_TRUE(passes(*deep, *port));
                        EXPECT_TRUE(waits_for(*tree.nested, *second));  // it is attached to that by itself
                      }),
            0u);
  EXPECT_EQ(tree.device->domain(pasid), deep);
  EXPECT_TRUE(waits_for(*deep, *port));
  EXPECT_TRUE(waits_for(*deep, *second));
}

TEST_F(DomainSweep, ReplacingAndDetachingDomains) {
  auto const before = state();
  EXPECT_GT(sweep_new([&] { return tree.device->replace(other, DmaTree::nested_pasid); },
                      [&] {
                        expect_unchanged(before);
                        EXPECT_TRUE(passes(*other, *port));
                        EXPECT_TRUE(waits_for(*tree.nested, *port));
                      }),
            0u);
  EXPECT_TRUE(passes(*tree.nested, *port));
  EXPECT_TRUE(waits_for(*other, *second));
  EXPECT_EQ(sweep_new([&] { return tree.device->detach(DmaTree::nested_pasid); }, [] {}), 0u) << "needs no memory";
  EXPECT_TRUE(passes(*other, *port));
  EXPECT_EQ(tree.device->domain(DmaTree::nested_pasid), nullptr);
}

TEST_F(DomainSweep, PreparingAChangeThatIsDropped) {
  auto const before = state();
  auto const call = [&]() -> Result<void> {
    auto change = tree.device->prepare(other, DmaTree::nested_pasid);
    if (!change) return std::unexpected(std::move(change).error());
    return {};
  };
  EXPECT_GT(sweep_new(call, [&] { expect_unchanged(before); }), 0u);
  expect_unchanged(before);
  EXPECT_TRUE(passes(*other, *port));
  EXPECT_TRUE(waits_for(*tree.nested, *port));
}

TEST_F(DomainSweep, CommittingAChangeNeedsNoMemory) {
  auto change = tree.device->prepare(other, DmaTree::nested_pasid);
  ASSERT_TRUE(change);
  {
    FailingNew failing(0);
    change->commit();
    EXPECT_FALSE(failing.failed());
  }
  EXPECT_EQ(tree.device->domain(DmaTree::nested_pasid), other);
  EXPECT_TRUE(passes(*tree.nested, *port));
  EXPECT_TRUE(waits_for(*other, *port));
}

TEST_F(DomainSweep, MappingReplacingAndUnmapping) {
  // Large entries and small ones; what is taken away or replaced cuts a large one at both ends.
  Range const wide{0x200000, bit(30) + 0x1fff}, cut{0x201000, 0x3fefff};
  auto const map = [&] { return other->map(wide, tree.memory->address(0), read_write); };
  auto const unmap = [&] { return outcome_of(other->unmap(cut, Cut::split)); };
  auto const replace = [&] { return other->replace(cut, tree.memory->address(5), read_write); };
  auto const both = [&](auto prepare, auto call) {
    for (bool const tables : {false, true}) {
      other = PagingDomain::create(tree.host, {.levels = 3}).value();
      prepare();
      auto const unchanged = [&, before = state()] { expect_unchanged(before); };
      EXPECT_GT(tables ? sweep_tables(*tree.host.tables, call, unchanged) : sweep_new(call, unchanged), 0u);
    }
  };
  both([] {}, map);
  EXPECT_EQ(other->unmap(wide).value(), wide.length());
  auto const mapped = [&] { ASSERT_TRUE(map()); };
  both(mapped, unmap);
  EXPECT_EQ(other->unmap(wide).value(), wide.length() - cut.length());
  both(mapped, replace);
  EXPECT_EQ(other->translate(0x201000, Access::reading(), Update::no).output, tree.memory->address(5).value);
  EXPECT_EQ(other->unmap(wide).value(), wide.length());
}

// What cannot be brought up to date in a shadow is empty, never stale.
struct ShadowSweep : DomainSweep {
  void expect_empty_or(std::uint64_t iova, std::uint64_t output) const {
    auto const t = tree.shadow->translate(iova, Access::reading(), Update::no);
    if (t.ok()) {
      EXPECT_EQ(t.output, output);
    }
  }
};

TEST_F(ShadowSweep, Refreshing) {
  constexpr std::uint64_t far = bit(45);
  std::uint64_t const page_1 = tree.memory->address(1).value;
  bool const choices[] = {false, true};
  for (bool const tables : choices)
    for (bool const whole : choices) {
      ASSERT_TRUE(tree.user->map({far, far + page - 1}, page));
      ASSERT_TRUE(tree.user->unmap(DmaTree::pages(2)));
      auto const call = [&] { return tree.shadow->refresh(whole ? Range::all() : Range{far, far + page - 1}); };
      auto const empty = [&] {
        EXPECT_FALSE(tree.shadow->translate(far, Access::reading(), Update::no).ok());
        EXPECT_EQ(tree.shadow->translate(0, Access::reading(), Update::no).ok(), !whole);
        if (!whole) return;
        EXPECT_FALSE(tree.shadow->translate(2 * page, Access::reading(), Update::no).ok());
      };
      EXPECT_GT(tables ? sweep_tables(*tree.host.tables, call, empty) : sweep_new(call, empty), 0u);
      EXPECT_EQ(tree.shadow->translate(far, Access::reading(), Update::no).output, page_1);
      EXPECT_TRUE(tree.shadow->translate(0, Access::reading(), Update::no).ok());
      EXPECT_EQ(tree.shadow->translate(2 * page, Access::reading(), Update::no).ok(), !whole);  // stale: nobody asked
      ASSERT_TRUE(tree.user->unmap({far, far + page - 1}));
      ASSERT_TRUE(tree.user->map(DmaTree::pages(2), 2 * page));
      ASSERT_TRUE(tree.shadow->refresh(Range::all()));
    }
}

TEST_F(ShadowSweep, ChangesOfTheParent) {
  for (unsigned n = 0; n < 40; n++) {
    for (bool const tables : {false, true}) {
      auto const with_failure = [&](auto call) {
        std::optional<FailingNew> failing;
        if (tables)
          tree.host.tables->fail_after(n);
        else
          failing.emplace(n);
        bool const done = call().has_value();
        if (failing) failing->allow();
        tree.host.tables->fail_after(TableAllocator::never);
        return done;
      };
      bool const moved = with_failure([&] { return tree.replace(1, tree.spare(1)); });
      expect_empty_or(page, tree.memory->address(moved ? tree.spare(1) : 1).value);
      bool const gone = with_failure([&] { return tree.paging->unmap(DmaTree::pages(2)); });
      if (gone) {
        EXPECT_FALSE(tree.shadow->translate(2 * page, Access::reading(), Update::no).ok());
        if (with_failure([&] { return tree.map(2, tree.spare(2)); })) {
          expect_empty_or(2 * page, tree.memory->address(tree.spare(2)).value);
        } else {
          EXPECT_FALSE(tree.shadow->translate(2 * page, Access::reading(), Update::no).ok());
          ASSERT_TRUE(tree.map(2, 2));
        }
      }
      ASSERT_TRUE(tree.replace(1, 1));
      ASSERT_TRUE(tree.replace(2, 2));
      ASSERT_TRUE(tree.shadow->refresh(Range::all()));
      for (std::uint64_t at = 0; at < 4; at++)
        EXPECT_EQ(tree.shadow->translate(at * page, Access::reading(), Update::no).output, tree.memory->address(at).value);
    }
  }
}

// Errors carry words, which need memory. Without it they are still the same errors.
TEST_F(DomainSweep, RefusalsNeedNoMemory) {
  auto const expect_code = [](int code, auto call) {
    FailingNew failing(0);
    auto const outcome = call();
    failing.allow();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, code);
  };
  expect_code(EBUSY, [&] { return tree.device->attach(other); });
  expect_code(ENOENT, [&] { return tree.device->detach(Pasid{5}); });
  expect_code(EINVAL, [&] { return tree.device->attach(nullptr, Pasid{5}); });
  expect_code(EINVAL, [&] { return port->fetch_add<std::uint32_t>(Iova(1), 1); });
  expect_code(EEXIST, [&] { return tree.map(0, 0); });
  expect_code(EINVAL, [&] { return tree.paging->map({1, 2}, HostAddress(0), read_write); });
  expect_code(ERANGE, [&] { return tree.paging->unmap(Range::all()); });
  expect_code(EOPNOTSUPP, [&] { return tree.paging->read_dirty(tree.data(), Clear::no, [](Range) {}); });
  Port::Guard const guard(*port);
  expect_code(EDEADLK, [&] { return tree.paging->unmap(tree.data()); });
  expect_code(EDEADLK, [&] { return tree.device->detach(); });
  expect_code(EDEADLK, [&] { return tree.device->open_port(); });
}

}  // namespace
}  // namespace swiommu
