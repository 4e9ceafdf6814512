// Devices for tests of the front end, behind an IOMMU that has everything.
#pragma once
#include <atomic>
#include <vector>

#include "iommufd/device_object.h"
#include "iommufd/driver.h"
#include "iommufd/hw_queue.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"
#include "iommufd_fixture.h"
#include "swiommu/device/page_request.h"
#include "swiommu/device/port.h"
#include "swiommu/iommufd/bound_device.h"
#include "swiommu/iommufd/make_driver.h"
#include "swiommu/profile/load_profile.h"

namespace swiommu::iommufd {

// The data of a nested HWPT of the test hardware: a four-level x86-64 table.
inline constexpr std::uint32_t test_hwpt_type = 0x77;
struct TestHwptData {
  std::uint64_t root;
  std::uint64_t reserved;
};

// Its invalidations: `status` is the errno that the entry is to give.
inline constexpr std::uint32_t test_invalidation_type = 0x78;
struct TestInvalidation {
  std::uint32_t value;
  std::int32_t status;
};

inline constexpr std::uint32_t test_viommu_type = 0x79;
struct TestViommuData {
  std::uint32_t status;  // errno that the driver is to give
  std::uint32_t out;
  std::uint64_t out_offset;  // of its mappable page
};
inline constexpr std::uint32_t test_hw_queue_type = 0x7a;
inline constexpr std::uint32_t test_information_type = 0x7b;

inline Result<void> record(InvalidationArray& entries, std::vector<std::uint32_t>& values) {
  if (entries.type() != test_invalidation_type) return fail(EINVAL, "another type");
  for (std::uint32_t n = 0; n < entries.entries(); n++) {
    auto const entry = entries.read<TestInvalidation>(n, 4);
    if (!entry) return std::unexpected(entry.error());
    if (entry->status != 0) return fail(entry->status, "as the entry wants it");
    values.push_back(entry->value);
    entries.set_done(n + 1);
  }
  return {};
}

class TestNested final : public DriverNested {
 public:
  explicit TestNested(std::shared_ptr<NestedDomain> made) : domain(std::move(made)) {}
  [[nodiscard]] bool invalidates() const override { return can_invalidate; }
  Result<void> invalidate(InvalidationArray& entries) override { return record(entries, values); }

  std::shared_ptr<NestedDomain> domain;
  std::vector<std::uint32_t> values;
  bool can_invalidate = true;
};

class TestViommu final : public DriverViommu {
 public:
  explicit TestViommu(Viommu& whole) : viommu(whole) {}
  [[nodiscard]] bool nests() const override { return true; }
  Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller) override {
    if ((flags & ~std::uint32_t{IOMMU_HWPT_ALLOC_PASID}) != 0) return fail(EOPNOTSUPP, "flags");
    return make_test_nested(viommu.parent()->domain(), data, caller);
  }
  static Result<std::unique_ptr<DriverNested>> make_test_nested(std::shared_ptr<PagingDomain> const& parent, UserData const& data,
                                                                Caller& caller) {
    if (data.type != test_hwpt_type) return fail(EOPNOTSUPP, "data of another type");
    auto const read = data.read<TestHwptData>(caller, test_hwpt_type, sizeof(TestHwptData::root));
    if (!read) return std::unexpected(read.error());
    auto domain =
        NestedDomain::create(parent, UserPageTable{.format = {.format = FormatName::x86_64, .levels = 4}, .root = read->root});
    if (!domain) return std::unexpected(std::move(domain).error());
    return guarded([&]() -> Result<std::unique_ptr<DriverNested>> { return std::make_unique<TestNested>(std::move(*domain)); });
  }
  [[nodiscard]] bool invalidates() const override { return true; }
  Result<void> invalidate(InvalidationArray& entries) override { return record(entries, values); }
  Result<std::unique_ptr<DriverVdevice>> make_vdevice(Vdevice& vdevice) override {
    if (vdevice.virtual_id() == refused_virtual_id) return fail(EOPNOTSUPP, "not this one");
    return nullptr;
  }
  [[nodiscard]] bool has_hw_queues(std::uint32_t type) const override { return type == test_hw_queue_type; }
  Result<std::unique_ptr<DriverHwQueue>> make_hw_queue(std::shared_ptr<HwQueue> queue, HostAddress address) override;

  static constexpr std::uint64_t refused_virtual_id = 0x666;
  Viommu& viommu;
  std::vector<std::uint32_t> values;
  std::map<std::uint32_t, std::weak_ptr<HwQueue>> queues;
  std::unique_ptr<SharedMemory> page;
};

// Queues must be made in the order of their numbers, and go the other way round.
class TestHwQueue final : public DriverHwQueue {
 public:
  TestHwQueue(TestViommu& viommu, std::uint32_t index, Use<HwQueue> previous)
      : viommu_(viommu), index_(index), previous_(std::move(previous)) {}
  ~TestHwQueue() override { viommu_.queues.erase(index_); }

 private:
  TestViommu& viommu_;
  std::uint32_t index_;
  Use<HwQueue> previous_;
};

inline Result<std::unique_ptr<DriverHwQueue>> TestViommu::make_hw_queue(std::shared_ptr<HwQueue> queue, HostAddress address) {
  return guarded([&]() -> Result<std::unique_ptr<DriverHwQueue>> {
    std::uint32_t const index = queue->index();
    if (index >= 2) return fail(EINVAL, "too many queues");
    if (queues.contains(index)) return fail(EEXIST, "there is one");
    if (index > 0 && !queues.contains(index - 1)) return fail(EIO, "not in order");
    auto const t = viommu.parent()->domain()->translate(queue->iovas().start, Access::reading(), Update::no);
    if (!t.ok() || t.output != address.value) return fail(EFAULT, "another address than the parent's");
    auto made = std::make_unique<TestHwQueue>(*this, index, Use<HwQueue>(index > 0 ? queues[index - 1].lock() : nullptr));
    queues[index] = queue;
    return made;
  });
}

// The IOMMU of a builtin profile, with some of its registers changed.
using RegisterValues = std::vector<std::pair<std::string_view, std::uint64_t>>;
inline std::shared_ptr<Driver> driver_of(std::string const& builtin, RegisterValues const& registers = {}) {
  Profile profile = load_profile(builtin).value();
  for (auto const& [name, value] : registers) EXPECT_TRUE(profile.set_register(name, value)) << name;
  EXPECT_TRUE(registers.empty() || profile.derive());
  return make_driver(profile).value();
}

class TestDriver final : public Driver {
 public:
  explicit TestDriver(std::string_view kind = "test hardware") : kind_(kind) {}
  [[nodiscard]] std::string_view kind() const override { return kind_; }

  Result<HardwareInfo> hardware_info(PhysicalDevice const&, std::uint32_t type) const override {
    if (type != 0 && type != test_information_type) return fail(EOPNOTSUPP, "another type");
    return HardwareInfo{test_information_type, {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}};
  }
  Result<PagingPlan> plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller*) const override {
    if (data) return fail(EOPNOTSUPP, "no data");
    if (flags == unknown_combination) return fail(EOPNOTSUPP, "not together");
    bool const dirty = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0;
    PagingPlan plan;
    plan.format = {.format = FormatName::vtd_second_stage, .levels = 4, .accessed_updates = dirty, .dirty_updates = dirty};
    plan.limits.aperture = aperture;
    return plan;
  }
  [[nodiscard]] bool nests() const override { return can_nest; }
  Result<std::unique_ptr<DriverNested>> make_nested(PhysicalDevice const&, HwptPaging& parent, std::uint32_t,
                                                    UserData const& data, Caller& caller) override {
    return TestViommu::make_test_nested(parent.domain(), data, caller);
  }
  [[nodiscard]] bool has_viommus(PhysicalDevice const&, std::uint32_t type) const override { return type == test_viommu_type; }
  Result<std::unique_ptr<DriverViommu>> make_viommu(Viommu& viommu, PhysicalDevice const&, std::optional<UserData> const& data,
                                                    Caller& caller) override {
    return guarded([&]() -> Result<std::unique_ptr<DriverViommu>> {
      auto made = std::make_unique<TestViommu>(viommu);
      if (!data) return made;
      auto read = data->read<TestViommuData>(caller, test_viommu_type, sizeof(TestViommuData));
      if (!read) return std::unexpected(read.error());
      if (read->status != 0) return fail(static_cast<int>(read->status), "as the data want it");
      auto page = SharedMemory::create(*addresses, host_page_size);
      if (!page) return std::unexpected(std::move(page).error());
      made->page = std::move(*page);
      auto const offset = viommu.add_mappable(made->page->descriptor(), 0, host_page_size);
      if (!offset) return std::unexpected(offset.error());
      read->out = 7;
      read->out_offset = *offset;
      SWIOMMU_TRY(data->write(caller, *read));
      return made;
    });
  }
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                         Hwpt const* old) override {
    if (failures > 0 && --failures == 0) return fail(failure, "as the test wants it");
    if (hwpt.type() != ObjectType::hwpt_nested) return Driver::attach(device, pasid, hwpt, old);
    auto& nested = static_cast<HwptNested&>(hwpt);
    if (nested.viommu()) SWIOMMU_TRY(nested.viommu()->virtual_id(device));
    return static_cast<TestNested&>(nested.nested()).domain;
  }
  void withdraw(PhysicalDevice&, std::optional<Pasid>, Hwpt&, Hwpt*) noexcept override { withdrawn++; }
  [[nodiscard]] bool has_user_pasid_tables() const override { return user_pasid_tables; }

  static constexpr std::uint32_t unknown_combination = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID;
  static constexpr Range aperture{0x10000, low_bits(48)};
  bool can_nest = true;
  bool user_pasid_tables = false;
  int failures = 0;  // the how-many-th attach from now on fails, with
  int failure = ENOMEM;
  std::atomic<int> withdrawn = 0;
  HostAddressSpace* addresses = nullptr;

 private:
  std::string_view const kind_;
};

class IommufdDeviceTest : public IommufdTest {
 protected:
  IommufdDeviceTest() { driver_->addresses = &engine_->addresses(); }

  struct Shape {
    unsigned pasid_bits = 8;
    DeviceCapabilities capabilities = {.dirty_tracking = true};
    std::vector<ReservedIovas> reserved{};
    std::shared_ptr<DeviceGroup> group{};
    std::shared_ptr<Driver> driver{};  // driver_ if none
  };
  std::shared_ptr<PhysicalDevice> new_physical(Shape shape) {
    auto device = Device::create(engine_->host(), {.pasid_bits = shape.pasid_bits}).value();
    auto const respond = [this](PageResponse const& response) {
      std::lock_guard const lock(responses_mutex_);
      responses_.push_back(response);
    };
    return PhysicalDevice::create(std::move(device), shape.driver ? shape.driver : driver_,
                                  {shape.capabilities, shape.reserved, shape.group, respond})
        .value();
  }
  std::shared_ptr<PhysicalDevice> new_physical() { return new_physical({}); }
  std::unique_ptr<BoundDevice> bind(std::shared_ptr<PhysicalDevice> device) {
    return BoundDevice::bind(file_, std::move(device)).value();
  }

  static int code(Result<void> const& result) { return result ? 0 : result.error().code; }
  static int attach(BoundDevice& device, std::uint32_t pt, std::uint32_t* hwpt = nullptr, std::optional<Pasid> pasid = {}) {
    auto const result = device.attach(pt, pasid);
    if (hwpt != nullptr) *hwpt = pt;
    return code(result);
  }
  static int replace(BoundDevice& device, std::uint32_t pt, std::uint32_t* hwpt = nullptr, std::optional<Pasid> pasid = {}) {
    auto const result = device.replace(pt, pasid);
    if (hwpt != nullptr) *hwpt = pt;
    return code(result);
  }

  static iommu_hwpt_alloc hwpt_of(std::uint32_t device, std::uint32_t pt, std::uint32_t flags = 0) {
    iommu_hwpt_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.flags = flags;
    arguments.dev_id = device;
    arguments.pt_id = pt;
    return arguments;
  }
  std::uint32_t new_hwpt(BoundDevice const& device, std::uint32_t pt, std::uint32_t flags = 0) {
    auto arguments = hwpt_of(device.id(), pt, flags);
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
    return arguments.out_hwpt_id;
  }
  template <class Data>
  static iommu_hwpt_alloc nested_of(std::uint32_t device, std::uint32_t parent, Data const& data, std::uint32_t flags = 0,
                                    std::uint32_t type = test_hwpt_type) {
    auto arguments = hwpt_of(device, parent, flags);
    arguments.data_type = type;
    arguments.data_len = sizeof data;
    arguments.data_uptr = std::bit_cast<std::uint64_t>(&data);
    return arguments;
  }
  template <class Entries>
  static iommu_hwpt_invalidate invalidation_of(std::uint32_t id, Entries const& entries,
                                               std::uint32_t type = test_invalidation_type) {
    iommu_hwpt_invalidate arguments{};
    arguments.size = sizeof arguments;
    arguments.hwpt_id = id;
    arguments.data_uptr = std::bit_cast<std::uint64_t>(entries.data());
    arguments.data_type = type;
    arguments.entry_len = sizeof(typename Entries::value_type);
    arguments.entry_num = static_cast<std::uint32_t>(entries.size());
    return arguments;
  }
  std::uint32_t new_nested(BoundDevice const& device, std::uint32_t parent, std::uint32_t flags = 0, std::uint32_t fault = 0) {
    TestHwptData const data{.root = 0x100000, .reserved = 0};
    auto arguments = nested_of(device.id(), parent, data, flags);
    arguments.fault_id = fault;
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
    return arguments.out_hwpt_id;
  }
  std::uint32_t new_viommu(BoundDevice const& device, std::uint32_t parent, std::uint32_t type = test_viommu_type) {
    iommu_viommu_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.type = type;
    arguments.dev_id = device.id();
    arguments.hwpt_id = parent;
    EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), 0) << words_;
    return arguments.out_viommu_id;
  }
  int vdevice(std::uint32_t viommu, std::uint32_t device, std::uint64_t virtual_id, std::uint32_t* id = nullptr) {
    iommu_vdevice_alloc arguments{
        .size = sizeof arguments, .viommu_id = viommu, .dev_id = device, .out_vdevice_id = 0, .virt_id = virtual_id};
    int const result = call(IOMMU_VDEVICE_ALLOC, arguments);
    if (id != nullptr) *id = arguments.out_vdevice_id;
    return result;
  }
  std::pair<std::uint32_t, std::shared_ptr<OpenFile>> new_fault_queue() {
    iommu_fault_alloc arguments{.size = sizeof arguments, .flags = 0, .out_fault_id = 0, .out_fault_fd = 0};
    EXPECT_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, arguments), 0) << words_;
    auto const descriptor = static_cast<int>(arguments.out_fault_fd);
    auto opened = caller_.open_file(descriptor);
    caller_.uninstall(descriptor);
    return {arguments.out_fault_id, std::move(opened)};
  }

  template <class T>
  std::shared_ptr<T> object(std::uint32_t id) {
    Lock const lock(file().mutex());
    return file().objects().find<T>(id).value();
  }
  bool exists(std::uint32_t id) {
    Lock const lock(file().mutex());
    return file().objects().lookup(id) != nullptr;
  }

  std::shared_ptr<TestDriver> driver_ = std::make_shared<TestDriver>();
  std::mutex responses_mutex_;
  std::vector<PageResponse> responses_;
};

}  // namespace swiommu::iommufd
