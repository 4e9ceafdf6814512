#include "swiommu/device/page_request.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "port_fixture.h"

namespace swiommu {
namespace {

// Takes the requests down; for each group that is complete it does what the test says, beginning on the port's own thread.
struct Asked final : PageRequestTarget {
  Result<void> report(PageRequest const& request) override {
    requests.push_back(request);
    if (!request.last) return {};
    groups++;
    return on_group(request);
  }
  std::vector<PageRequest> requests;
  int groups = 0;
  std::function<Result<void>(PageRequest const&)> on_group = [](PageRequest const&) { return Result<void>(); };
};

struct PortPageRequestTest : PortTest {
  PortPageRequestTest() {
    EXPECT_TRUE(device->attach(domain));
    device->set_page_requests(asked);
    port->on_missing_page(OnMissingPage::wait);
  }
  Result<void> answer(PageRequest const& request, PageResponse::Code code) const {
    device->answer({.pasid = request.pasid, .group = request.group, .code = code});
    return {};
  }
  // Maps each page that is asked for to the page of memory with the same number.
  void map_what_is_asked_for() {
    asked->on_group = [this](PageRequest const& last) {
      for (PageRequest const& request : asked->requests)
        if (request.group == last.group)
          (void)domain->map(Range::of_length(request.iova, page).value(), memory->address(request.iova / page), read_write);
      return answer(last, PageResponse::Code::success);
    };
  }

  std::shared_ptr<Asked> asked = std::make_shared<Asked>();
};

TEST_F(PortPageRequestTest, AreMadeForMissingPagesAndTheDmaGoesOn) {
  map_what_is_asked_for();
  auto const bytes = pattern(3 * page);
  auto const result = port->write(Iova(5 * page + 8), bytes.data(), bytes.size());
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.done, bytes.size());
  EXPECT_EQ(std::memcmp(memory->data(5) + 8, bytes.data(), bytes.size()), 0);
  ASSERT_EQ(asked->requests.size(), 4U);
  EXPECT_EQ(asked->groups, 1);
  for (std::size_t n = 0; n < 4; n++) {
    EXPECT_EQ(asked->requests[n].iova, (5 + n) * page);
    EXPECT_EQ(asked->requests[n].last, n == 3);
    EXPECT_TRUE(asked->requests[n].write && !asked->requests[n].read);
    EXPECT_EQ(asked->requests[n].group, asked->requests[0].group);
  }
}

TEST_F(PortPageRequestTest, OfACopyAskForEachSideAtOnce) {
  map_what_is_asked_for();
  for (std::uint64_t n = 0; n < 6; n++) std::memset(memory->data(10 + n), static_cast<int>(n + 1), page);
  auto const result = port->copy(Iova(10 * page), Iova(30 * page), 6 * page);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.done, 6 * page);
  EXPECT_EQ(std::memcmp(memory->data(30), memory->data(10), 6 * page), 0);
  EXPECT_EQ(asked->groups, 2);
  EXPECT_EQ(asked->requests.size(), 12U);
  EXPECT_EQ(port->counts().transfers, 2U);
}

TEST_F(PortPageRequestTest, AskOnlyForWhatIsMissing) {
  map_what_is_asked_for();
  map(6, 6);
  std::vector<std::uint8_t> bytes(4 * page);
  EXPECT_TRUE(port->read(Iova(4 * page), bytes.data(), bytes.size()).ok());
  std::vector<std::uint64_t> iovas;
  for (auto const& request : asked->requests) iovas.push_back(request.iova / page);
  EXPECT_EQ(iovas, (std::vector<std::uint64_t>{4, 5, 7}));
}

TEST_F(PortPageRequestTest, AskForMoreRights) {
  map(3, 3, 1, Access::reading());
  asked->on_group = [this](PageRequest const& request) {
    EXPECT_TRUE(domain->unmap(Range::of_length(3 * page, page).value()));
    map(3, 3);
    return answer(request, PageResponse::Code::success);
  };
  std::uint8_t const byte = 9;
  EXPECT_TRUE(port->write(Iova(3 * page), &byte, 1).ok());
  EXPECT_EQ(asked->groups, 1);
}

TEST_F(PortPageRequestTest, EndTheDmaWhenTheyAreRefused) {
  map(0, 0);
  asked->on_group = [this](PageRequest const& request) { return answer(request, PageResponse::Code::invalid); };
  std::vector<std::uint8_t> bytes(2 * page);
  auto const result = port->read(Iova(0), bytes.data(), bytes.size());
  EXPECT_EQ(result.done, page);
  ASSERT_TRUE(result.fault);
  EXPECT_EQ(result.fault->iova, page);
  EXPECT_EQ(result.fault->reason, Reason::not_mapped);
  EXPECT_FALSE(result.pending);
}

TEST_F(PortPageRequestTest, AreNotBelievedForEver) {
  asked->on_group = [this](PageRequest const& request) { return answer(request, PageResponse::Code::success); };
  std::uint8_t byte = 0;
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
  EXPECT_GT(asked->groups, 1);
  EXPECT_LT(asked->groups, 100);
}

TEST_F(PortPageRequestTest, AreNotMadeForWhatNobodyCanMend) {
  // beyond the table, a PASID that is not attached, within a guard
  std::uint8_t byte = 0;
  EXPECT_EQ(port->read(Iova(bit(50)), &byte, 1).fault->reason, Reason::out_of_range);
  EXPECT_EQ(port->read(Iova(0), &byte, 1, Pasid{1}).fault->reason, Reason::configuration);
  EXPECT_FALSE(translate(0, Access::reading()));
  EXPECT_EQ(asked->groups, 0);

  // the parent of a nested domain lacks the table
  auto const nested = NestedDomain::create(domain, UserPageTable{.format = vtd, .root = 0}).value();
  ASSERT_TRUE(device->replace(nested));
  EXPECT_EQ(port->read(Iova(0), &byte, 1).fault->reason, Reason::table_unreachable);
  EXPECT_EQ(asked->groups, 0);
}

TEST_F(PortPageRequestTest, AreNotMadeUnlessThePortIsToldTo) {
  port->on_missing_page(OnMissingPage::fault);
  std::uint8_t byte = 0;
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
  EXPECT_EQ(asked->groups, 0);
}

TEST_F(PortPageRequestTest, LeaveTheDmaPendingForWhoDoesNotWait) {
  port->on_missing_page(OnMissingPage::ask);
  map(0, 0);
  auto const bytes = pattern(2 * page);
  auto const first = port->write(Iova(0), bytes.data(), bytes.size());
  EXPECT_EQ(first.done, page);
  ASSERT_TRUE(first.pending);
  EXPECT_EQ(*first.pending, asked->requests.at(0).group);
  map(1, 1);
  // the answer is the device's own business: nobody waits for it in a port
  EXPECT_FALSE(device->answer({.group = *first.pending}));
  EXPECT_TRUE(port->write(Iova(first.done), bytes.data() + first.done, bytes.size() - first.done).ok());
}

TEST_F(PortPageRequestTest, AreNumberedAsPcieCanAndOutOfNumbersTheDmaFails) {
  port->on_missing_page(OnMissingPage::ask);
  std::uint8_t byte = 0;
  std::set<std::uint32_t> groups;
  for (std::uint32_t n = first_port_group; n < page_request_groups; n++) {
    auto const result = port->read(Iova(n * page), &byte, 1);
    ASSERT_TRUE(result.pending);
    EXPECT_TRUE(groups.insert(*result.pending).second);
  }
  auto const result = port->read(Iova(0), &byte, 1);
  EXPECT_TRUE(result.fault && !result.pending);
  device->answer({.group = 300});
  EXPECT_EQ(port->read(Iova(0), &byte, 1).pending, 300U);
}

TEST_F(PortPageRequestTest, OfAtomicOperationsWaitToo) {
  map_what_is_asked_for();
  auto const result = port->fetch_add<std::uint64_t>(Iova(2 * page), 7);
  EXPECT_TRUE(result && result->ok());
  EXPECT_TRUE(asked->requests.at(0).read && asked->requests.at(0).write);
}

TEST_F(PortPageRequestTest, ThatNobodyTakesAnyMoreEndTheDma) {
  asked.reset();
  std::uint8_t byte = 0;
  EXPECT_FALSE(port->read(Iova(0), &byte, 1).ok());
}

TEST_F(PortPageRequestTest, CanBeGivenUpByAnotherThread) {
  std::promise<std::uint32_t> group;
  asked->on_group = [&](PageRequest const& request) {
    group.set_value(request.group);
    return Result<void>();
  };
  DmaResult result;
  std::thread dma([&] {
    std::uint8_t byte = 0;
    result = port->read(Iova(0), &byte, 1);
  });
  std::uint32_t const asked_for = group.get_future().get();
  device->give_up_page_requests();
  dma.join();
  EXPECT_FALSE(result.ok());
  // the number is not used again before the answer comes
  port->on_missing_page(OnMissingPage::ask);
  asked->on_group = [](PageRequest const&) { return Result<void>(); };
  std::uint8_t byte = 0;
  EXPECT_NE(port->read(Iova(0), &byte, 1).pending, asked_for);
  device->answer({.group = asked_for});
  EXPECT_EQ(port->read(Iova(0), &byte, 1).pending, asked_for);
}

TEST_F(PortPageRequestTest, AnswersThatNobodyAskedForChangeNothing) {
  for (std::uint32_t const group : {0U, 255U, 256U, 511U, 512U, ~0U}) EXPECT_FALSE(device->answer({.group = group}));
}

// The thread that answers unmaps, maps, invalidates: all of them wait for guards, so the one that waits for pages has none.
TEST(PageRequestConcurrency, AnswersComeFromAThreadThatChangesTheTable) {
  struct Queue final : PageRequestTarget {
    Result<void> report(PageRequest const& request) override {
      std::lock_guard const lock(mutex);
      waiting.push_back(request);
      came.notify_one();
      return {};
    }
    std::mutex mutex;
    std::condition_variable came;
    std::deque<PageRequest> waiting;
  };
  auto const memory = std::make_shared<FlatMemory>(64, bit(32));
  Host const host = Host::create(memory).value();
  auto const domain = PagingDomain::create(host, vtd).value();
  auto const device = Device::create(host, {.pasid_bits = 8}).value();
  auto const queue = std::make_shared<Queue>();
  device->set_page_requests(queue);
  ASSERT_TRUE(device->attach(domain));

  constexpr unsigned pages = 16, ports = 3, rounds = 200;
  std::atomic<unsigned> finished = 0;
  std::atomic<unsigned> failures = 0;
  std::vector<std::jthread> threads;
  for (unsigned number = 0; number < ports; number++)
    threads.emplace_back([&, number] {
      auto const port = device->open_port().value();
      port->on_missing_page(OnMissingPage::wait);
      std::uint32_t const written = number;
      for (unsigned n = 0; n < rounds; n++) {
        std::uint64_t const iova = (n * 7 + number) % pages * page + 16 * number;
        std::uint32_t read = ~0U;
        if (!port->write(Iova(iova), &written, sizeof written).ok() || !port->read(Iova(iova), &read, sizeof read).ok() ||
            read != written)
          failures++;
      }
      finished++;
      std::lock_guard const lock(queue->mutex);
      queue->came.notify_one();
    });
  std::array<bool, pages> mapped{};
  unsigned evicted = 0;
  for (;;) {
    std::unique_lock lock(queue->mutex);
    queue->came.wait(lock, [&] { return finished == ports || !queue->waiting.empty(); });
    if (queue->waiting.empty()) break;
    PageRequest const request = queue->waiting.front();
    queue->waiting.pop_front();
    lock.unlock();
    std::uint64_t const n = request.iova / page;
    if (!mapped[n]) {
      // few pages fit: another one goes
      if (std::ranges::count(mapped, true) == pages / 2) {
        while (!mapped[evicted]) evicted = (evicted + 1) % pages;
        ASSERT_TRUE(domain->unmap(Range::of_length(evicted * page, page).value()));
        mapped[evicted] = false;
      }
      ASSERT_TRUE(domain->map(Range::of_length(n * page, page).value(), memory->address(n), read_write));
      mapped[n] = true;
    }
    if (request.last) device->answer({.group = request.group});
  }
  threads.clear();
  EXPECT_EQ(failures, 0U);
}

}  // namespace
}  // namespace swiommu
