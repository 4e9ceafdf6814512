// Each allocation of each call of the front end fails once: the call says ENOMEM, and nothing has changed.
#include <functional>

#include "iommufd_device_fixture.h"
#include "sweep.h"

namespace swiommu::iommufd {
namespace {

class IommufdDeviceSweep : public IommufdDeviceTest {
 protected:
  struct ObjectState {
    std::uint32_t id;
    ObjectType type;
    std::uint32_t users;
    bool operator==(ObjectState const&) const = default;
  };
  struct State {
    std::vector<ObjectState> objects;
    std::vector<std::vector<Range>> usable;  // iovas of each IOAS
    std::vector<std::shared_ptr<Domain>> attached;
    std::size_t descriptors = 0;
    std::uint64_t pinned = 0;
    bool operator==(State const&) const = default;
  };
  static std::string text(State const& state) {
    std::string all;
    for (auto const& object : state.objects)
      all +=
          std::string(name(object.type)) + " " + std::to_string(object.id) + " with " + std::to_string(object.users) + " users, ";
    for (auto const& ranges : state.usable) all += std::to_string(ranges.size()) + " ranges, ";
    for (auto const& domain : state.attached) all += domain ? "attached, " : "detached, ";
    return all + std::to_string(state.descriptors) + " descriptors, " + std::to_string(state.pinned) + " pinned pages";
  }
  State state() {
    State now;
    for (std::uint32_t id = 1; id < 40; id++) {
      Lock const lock(file().mutex());
      auto const object = file().objects().lookup(id);
      if (!object) continue;
      now.objects.push_back({id, object->type(), object->users()});
      if (object->type() == ObjectType::ioas) now.usable.push_back(static_cast<Ioas&>(*object).space().iova_ranges().value());
    }
    for (auto const& physical : {physical_, neighbour_})
      for (std::optional<Pasid> const pasid : {std::optional<Pasid>(), std::optional<Pasid>(3)})
        now.attached.push_back(physical->device()->domain(pasid));
    now.descriptors = caller_.files().size();
    now.pinned = caller_.process()->pinned_pages;
    return now;
  }

  // Calls until no allocation is missing; returns how many there are.
  template <class Call>
  unsigned sweep(Call call) {
    State const before = state();
    return sweep_new(call, [&] {
      State const now = state();
      EXPECT_TRUE(now == before) << "before: " << text(before) << "\nnow: " << text(now);
    });
  }
  // An ioctl on a fresh copy of its structure each time.
  template <class Structure>
  Structure sweep_ioctl(std::uint32_t request, Structure const& structure) {
    Structure copy{};
    EXPECT_GT(sweep([&] {
                copy = structure;
                copy.size = sizeof copy;
                return file_->ioctl(caller_, request, std::bit_cast<std::uint64_t>(&copy));
              }),
              0u);
    return copy;
  }
  std::uint32_t sweep_attach(BoundDevice& device, std::uint32_t pt, std::optional<Pasid> pasid = std::nullopt) {
    std::uint32_t id = pt;
    EXPECT_GT(sweep([&] {
                id = pt;
                auto attached = device.attach(id, pasid);
                return attached;
              }),
              0u);
    return id;
  }
  std::uint32_t sweep_replace(BoundDevice& device, std::uint32_t pt, std::optional<Pasid> pasid = std::nullopt) {
    std::uint32_t id = pt;
    EXPECT_GT(sweep([&] {
                id = pt;
                return device.replace(id, pasid);
              }),
              0u);
    return id;
  }

  std::shared_ptr<DeviceGroup> group_ = new_group().value();
  std::shared_ptr<PhysicalDevice> physical_ = new_physical({.reserved = {{{0xfee00000, 0xfeefffff}}}, .group = group_});
  std::shared_ptr<PhysicalDevice> neighbour_ = new_physical({.group = group_});
};

TEST_F(IommufdDeviceSweep, EveryCallOfALongStory) {
  std::unique_ptr<BoundDevice> device;
  EXPECT_GT(sweep([&]() -> Result<void> {
              auto bound = BoundDevice::bind(file_, physical_);
              if (!bound) return std::unexpected(std::move(bound).error());
              device = std::move(*bound);
              return {};
            }),
            0u);
  auto const port = physical_->device()->open_port().value();
  auto neighbour = bind(neighbour_);
  std::uint32_t const space = new_ioas(), other = new_ioas();
  ASSERT_EQ(map(space, memory(4 * page), 4 * page, 0x20000), 0);

  std::uint32_t const automatic = sweep_attach(*device, space);
  EXPECT_TRUE(exists(automatic));
  std::uint32_t const replaced = sweep_replace(*device, other);
  EXPECT_FALSE(exists(automatic));
  EXPECT_TRUE(exists(replaced));
  EXPECT_EQ(sweep_new([&]() -> Result<void> { return device->detach(), Result<void>{}; }, [] {}), 0u) << "needs no memory";

  std::uint32_t const parent =
      sweep_ioctl(IOMMU_HWPT_ALLOC, hwpt_of(device->id(), space, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING))
          .out_hwpt_id;
  std::uint32_t const compatible =
      sweep_ioctl(IOMMU_HWPT_ALLOC, hwpt_of(device->id(), other, IOMMU_HWPT_ALLOC_PASID)).out_hwpt_id;
  std::uint32_t const queue = sweep_ioctl(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc{}).out_fault_id;
  iommu_viommu_alloc viommu_arguments{};
  TestViommuData viommu_data{};
  viommu_arguments.type = test_viommu_type;
  viommu_arguments.dev_id = device->id();
  viommu_arguments.hwpt_id = parent;
  viommu_arguments.data_len = sizeof viommu_data;
  viommu_arguments.data_uptr = std::bit_cast<std::uint64_t>(&viommu_data);
  std::uint32_t const viommu = sweep_ioctl(IOMMU_VIOMMU_ALLOC, viommu_arguments).out_viommu_id;
  EXPECT_EQ(viommu_data.out_offset, page);
  iommu_vdevice_alloc vdevice_arguments{};
  vdevice_arguments.viommu_id = viommu;
  vdevice_arguments.dev_id = device->id();
  vdevice_arguments.virt_id = 7;
  sweep_ioctl(IOMMU_VDEVICE_ALLOC, vdevice_arguments);
  ASSERT_EQ(vdevice(viommu, neighbour->id(), 8), 0);  // they are attached together
  TestHwptData const data{.root = 0x20000, .reserved = 0};
  auto nested_arguments = nested_of(device->id(), viommu, data, IOMMU_HWPT_FAULT_ID_VALID);
  nested_arguments.fault_id = queue;
  std::uint32_t const nested = sweep_ioctl(IOMMU_HWPT_ALLOC, nested_arguments).out_hwpt_id;
  iommu_veventq_alloc events{};
  events.viommu_id = viommu;
  events.type = 1;
  events.veventq_depth = 3;
  sweep_ioctl(IOMMU_VEVENTQ_ALLOC, events);
  iommu_hw_queue_alloc hw_queue{};
  hw_queue.viommu_id = viommu;
  hw_queue.type = test_hw_queue_type;
  hw_queue.nesting_parent_iova = 0x21000;
  hw_queue.length = page;
  sweep_ioctl(IOMMU_HW_QUEUE_ALLOC, hw_queue);

  sweep_attach(*device, compatible);
  sweep_attach(*device, compatible, 3);
  device->detach(3);
  sweep_replace(*device, nested);
  iommu_hwpt_set_dirty_tracking set{};
  set.hwpt_id = parent;
  set.flags = 1;
  sweep_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, set);
  std::uint64_t bits = 0;
  iommu_hwpt_get_dirty_bitmap get{};
  get.hwpt_id = parent;
  get.iova = 0x20000;
  get.length = 4 * page;
  get.page_size = page;
  get.data = std::bit_cast<std::uint64_t>(&bits);
  sweep_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, get);
  std::vector<std::byte> room(16);
  iommu_hw_info information{};
  information.dev_id = device->id();
  information.data_len = 16;
  information.data_uptr = std::bit_cast<std::uint64_t>(room.data());
  sweep_ioctl(IOMMU_GET_HW_INFO, information);
  responses_.reserve(100);
  EXPECT_GT(sweep([&] { return physical_->report({.group = 4, .iova = 0x5000}); }), 0u);

  EXPECT_EQ(sweep_new([&]() -> Result<void> { return device = nullptr, Result<void>{}; }, [] {}), 0u) << "needs no memory";
  neighbour = nullptr;
  caller_.files().clear();
}

}  // namespace
}  // namespace swiommu::iommufd
