#include "iommufd/selftest/mock_viommu.h"

#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "base/sabotage.h"
#include "iommufd/hw_queue.h"
#include "iommufd/selftest/mock_driver.h"
#include "iommufd/selftest/mock_nested.h"

namespace swiommu::iommufd::selftest {

// One of the queues; the one before it cannot go first.
class MockViommu::Queue final : public DriverHwQueue {
 public:
  Queue(std::weak_ptr<HwQueue>& slot, Use<HwQueue> previous) : slot_(slot), previous_(std::move(previous)) {}
  ~Queue() override { slot_.reset(); }

 private:
  std::weak_ptr<HwQueue>& slot_;
  Use<HwQueue> const previous_;
};

Result<std::unique_ptr<MockViommu>> MockViommu::create(MockDriver& driver, Viommu& viommu, std::optional<UserData> const& data,
                                                       Caller& caller) {
  return guarded([&]() -> Result<std::unique_ptr<MockViommu>> {
    std::unique_ptr<MockViommu> made(new MockViommu(driver, viommu));
    if (data) SWIOMMU_TRY(made->make_memory(*data, caller));
    return made;
  });
}

Result<void> MockViommu::make_memory(UserData const& data, Caller& caller) {
  auto value = data.read<MockViommuData>(caller, mock_viommu_type, least_mock_viommu_data);
  if (!value) return std::unexpected(value.error());
  memory_ = Descriptor(::memfd_create("mock vIOMMU", MFD_CLOEXEC));
  if (memory_.get() < 0 || ::ftruncate(memory_.get(), static_cast<off_t>(mock_viommu_memory)) != 0 ||
      ::pwrite(memory_.get(), &value->in, sizeof value->in, 0) != sizeof value->in)
    return fail(ENOMEM, "no memory for the mock vIOMMU");
  auto const offset = viommu_.add_mappable(memory_.get(), 0, mock_viommu_memory);
  if (!offset) return std::unexpected(offset.error());
  value->out = value->in;
  value->out_map_offset = *offset;
  value->out_map_length = mock_viommu_memory;
  return data.write(caller, *value);
}

bool MockViommu::nests() const { return driver_.nests(); }

Result<std::unique_ptr<DriverNested>> MockViommu::make_nested(std::uint32_t flags, UserData const& data, Caller& caller) {
  return driver_.make_nested_on(viommu_.parent()->domain(), flags, data, caller);
}

Result<void> MockViommu::invalidate(InvalidationArray& entries) {
  if (entries.type() != mock_invalidation_type) return fail(EINVAL, "invalidations of another type than the mock IOMMU's");
  // All entries are read before the first one is done.
  return guarded([&]() -> Result<void> {
    std::vector<MockCacheInvalidation> commands;
    commands.reserve(entries.entries());
    for (std::uint32_t at = 0; at < entries.entries(); at++) {
      auto const entry = entries.read_extensible<MockCacheInvalidation>(at);
      if (!entry) return std::unexpected(entry.error());
      commands.push_back(*entry);
    }
    for (MockCacheInvalidation const& command : commands) {
      if ((command.flags & ~mock_invalidate_all) != 0) return fail(EOPNOTSUPP, "an invalidation with an unknown flag");
      if (command.entry >= mock_cache_entries) return fail(EINVAL, "the caches of mock devices have no such entry");
      auto const device = viommu_.find_device(command.device);
      auto* const state = device ? driver_.state(*device) : nullptr;
      if (state == nullptr) return fail(EINVAL, "an invalidation for a device that the vIOMMU does not have");
      bool const all = (command.flags & mock_invalidate_all) != 0;
      for (std::uint32_t cached = 0; cached < mock_cache_entries; cached++)
        if ((all || cached == command.entry) && !sabotaged("device-cache-kept")) state->cache[cached] = 0;
      entries.set_done(entries.done() + 1);
    }
    return {};
  });
}

Result<std::unique_ptr<DriverHwQueue>> MockViommu::make_hw_queue(std::shared_ptr<HwQueue> queue, HostAddress address) {
  std::uint32_t const index = queue->index();
  if (index >= mock_hw_queues) return fail(EINVAL, "the mock vIOMMU has two queues");
  if (!queues_[index].expired()) return fail(EEXIST, "the queue of this index exists already");
  std::shared_ptr<HwQueue> previous;
  if (index > 0) {
    previous = queues_[index - 1].lock();
    if (!previous) return fail(EIO, "queues are made in the order of their indices");
  }
  // The queue's memory must be what the hardware finds through the parent.
  auto const found = viommu_.parent()->domain()->translate(queue->iovas().start, {}, Update::no);
  if (!found.ok() || found.output != address.value) return fail(EFAULT, "the parent leads to other memory than the queue's");
  return guarded([&]() -> Result<std::unique_ptr<DriverHwQueue>> {
    auto made = std::make_unique<Queue>(queues_[index], Use<HwQueue>(std::move(previous)));
    queues_[index] = queue;
    return made;
  });
}

}  // namespace swiommu::iommufd::selftest
