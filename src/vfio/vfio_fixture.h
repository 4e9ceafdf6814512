// A toy of a model, plugged into a bus, and the calls that programs make on its files.
#pragma once
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>

#include "iommufd_fixture.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/vfio.h"
#include "swiommu/vfio/pci_bus.h"
#include "vfio/region.h"

namespace swiommu::vfio {

// BAR 0, which can be mapped, is memory. Written to it, a command does DMA at once, or makes a thread do it all the time. BAR 2
// cannot be mapped, and remembers how it was accessed.
class ToyModel final : public DeviceModel {
 public:
  static constexpr std::uint64_t bar0_bytes = 0x10000, bar2_bytes = 0x1000;
  static constexpr std::uint64_t address_register = 0x10, data_register = 0x18, command_register = 0x20;
  static constexpr std::uint32_t write_once = 1, write_always = 2, message = 4, assert_line = 8, deassert_line = 16;
  static constexpr std::uint32_t table = 0x8000, pending = 0x9000, vectors = 70;

  static ModelDescription usual() {
    ModelDescription d;
    d.identity = {.vendor = 0x8086,
                  .device = 0x1234,
                  .subsystem_vendor = 0x1af4,
                  .subsystem = 0x1100,
                  .class_code = 0x010802,
                  .revision = 3};
    d.bars = {{.number = 0, .bytes = bar0_bytes, .wide = true, .prefetchable = true, .mappable = true},
              {.number = 2, .bytes = bar2_bytes, .wide = false, .prefetchable = false, .mappable = false}};
    d.msix = {.vectors = vectors, .bar = 0, .table_offset = table, .pending_offset = pending};
    d.msi_vectors = 8;
    d.line = true;
    return d;
  }

  struct Access {
    std::uint64_t offset, bytes, value;
    bool write;
    bool operator==(Access const&) const = default;
  };
  // What outlives the model.
  struct Log {
    std::atomic<int> resets = 0, living = 0;
    std::atomic<std::uint64_t> writes = 0, faults = 0;  // DMA
    std::vector<Access> accesses;
    std::vector<bool> masters;
  };

  ToyModel(Slot& slot, ModelDescription description, std::shared_ptr<Log> log)
      : slot_(slot), description_(std::move(description)), log_(std::move(log)), port_(slot.open_port().value()) {
    log_->living++;
    file_ = ::memfd_create("toy", MFD_CLOEXEC);
    EXPECT_EQ(::ftruncate(file_, bar0_bytes), 0);
    memory_ = static_cast<std::byte*>(::mmap(nullptr, bar0_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0));
    thread_ = std::thread([this] { run(); });
  }
  ~ToyModel() override {
    ends_ = true;
    thread_.join();
    ::munmap(memory_, bar0_bytes);
    ::close(file_);
    log_->living--;
  }

  [[nodiscard]] ModelDescription const& description() const override { return description_; }
  void read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> to) override {
    std::uint64_t value = 0;
    if (bar == 0) std::memcpy(&value, memory_ + offset, to.size());
    if (bar == 2) value = 0x1122334455667788 >> 8 * (offset % 8);
    if (bar == 2) log_->accesses.push_back({offset, to.size(), value & low_bits(8 * static_cast<unsigned>(to.size())), false});
    std::memcpy(to.data(), &value, to.size());
  }
  void write_bar(unsigned bar, std::uint64_t offset, std::span<std::byte const> from) override {
    std::uint64_t value = 0;
    std::memcpy(&value, from.data(), from.size());
    if (bar == 2) log_->accesses.push_back({offset, from.size(), value, true});
    if (bar != 0) return;
    std::memcpy(memory_ + offset, from.data(), from.size());
    if (offset == command_register) command(static_cast<std::uint32_t>(value));
  }
  Result<std::shared_ptr<iommufd::MappableMemory>> map_bar(unsigned) override { return std::make_shared<Mapping>(::dup(file_)); }
  void on_bus_master(bool enabled) override {
    std::lock_guard const lock(mutex_);
    log_->masters.push_back(enabled);
  }
  void reset() override {
    std::lock_guard const lock(mutex_);
    always_ = false;
    std::memset(memory_, 0, bar0_bytes);
    slot_.set_line(false);
    log_->resets++;
  }

 private:
  class Mapping final : public iommufd::MappableMemory {
   public:
    explicit Mapping(int descriptor) : descriptor_(descriptor) {}
    [[nodiscard]] int descriptor() const override { return descriptor_.get(); }
    [[nodiscard]] std::uint64_t offset() const override { return 0; }

   private:
    Descriptor descriptor_;
  };

  template <class T>
  T reg(std::uint64_t offset) {
    T value{};
    std::memcpy(&value, memory_ + offset, sizeof value);
    return value;
  }
  void command(std::uint32_t bits) {
    std::lock_guard const lock(mutex_);
    if ((bits & assert_line) != 0) slot_.set_line(true);
    if ((bits & deassert_line) != 0) slot_.set_line(false);
    if ((bits & write_once) != 0) write();
    if ((bits & message) != 0) slot_.raise(bits >> 8);
    vector_ = bits >> 8;
    always_ = (bits & write_always) != 0;
  }
  void write() {
    if (!slot_.bus_master()) return;
    auto const data = reg<std::uint64_t>(data_register);
    auto const result = port_->write(Iova(reg<std::uint64_t>(address_register)), &data, sizeof data);
    (result.ok() ? log_->writes : log_->faults)++;
    if (!result.ok()) slot_.report(*result.fault);
  }
  void run() {
    while (!ends_) {
      {
        std::lock_guard const lock(mutex_);
        if (always_) {
          write();
          slot_.raise(vector_);
        }
      }
      std::this_thread::yield();
    }
  }

  Slot& slot_;
  ModelDescription const description_;
  std::shared_ptr<Log> const log_;
  std::unique_ptr<Port> const port_;
  int file_ = -1;
  std::byte* memory_ = nullptr;
  std::mutex mutex_;
  bool always_ = false;
  unsigned vector_ = 0;
  std::atomic<bool> ends_ = false;
  std::thread thread_;
};

class VfioTest : public iommufd::IommufdTest {
 protected:
  VfioTest() : IommufdTest(load_profile("intel-vtd").value()) {}

  Result<PciBus::Placed> plug(ModelDescription description = ToyModel::usual(), PciBus::Place const& place = {}) {
    return bus_->add(place, [&](Slot& slot) -> Result<std::unique_ptr<DeviceModel>> {
      return std::make_unique<ToyModel>(slot, std::move(description), log_);
    });
  }
  // The cdev of a new function, bound to file_.
  std::shared_ptr<iommufd::OpenFile> new_device(ModelDescription description = ToyModel::usual(),
                                                PciBus::Place const& place = {}) {
    auto device = bus_->open_device(plug(std::move(description), place).value().number).value();
    EXPECT_EQ(bind(*device), 0) << words_;
    return device;
  }

  // 0 or more: what the ioctl returns. Negative: the errno.
  int on(iommufd::OpenFile& file, std::uint32_t request, void const* argument = nullptr) {
    auto const result = file.ioctl(caller_, request, std::bit_cast<std::uint64_t>(argument));
    words_ = result ? "" : result.error().about;
    return result ? static_cast<int>(*result) : -result.error().code;
  }
  int descriptor_of(std::shared_ptr<iommufd::OpenFile> file) { return caller_.install(std::move(file)).value(); }

  int bind(iommufd::OpenFile& device) { return bind_with(device, descriptor_of(file_)); }
  int bind_with(iommufd::OpenFile& device, int descriptor, std::uint32_t flags = 0) {
    vfio_device_bind_iommufd bind{};
    bind.argsz = sizeof bind;
    bind.flags = flags;
    bind.iommufd = descriptor;
    bind.token_uuid_ptr = std::bit_cast<std::uint64_t>(&uuid_);
    int const code = on(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
    device_id_ = bind.out_devid;
    return code;
  }
  int attach(iommufd::OpenFile& device, std::uint32_t id, std::optional<Pasid> pasid = {}) {
    vfio_device_attach_iommufd_pt attach{sizeof attach, pasid ? VFIO_DEVICE_ATTACH_PASID : 0u, id, pasid.value_or(0)};
    int const code = on(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
    hwpt_id_ = attach.pt_id;
    return code;
  }
  int detach(iommufd::OpenFile& device, std::optional<Pasid> pasid = {}) {
    vfio_device_detach_iommufd_pt detach{sizeof detach, pasid ? VFIO_DEVICE_DETACH_PASID : 0u, pasid.value_or(0)};
    return on(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
  }

  template <class T>
  Result<std::uint64_t> get(iommufd::OpenFile& device, std::uint64_t offset, T& value) {
    return device.read_at(caller_, std::bit_cast<std::uint64_t>(&value), sizeof value, offset);
  }
  template <class T>
  Result<std::uint64_t> put(iommufd::OpenFile& device, std::uint64_t offset, T value) {
    return device.write_at(caller_, std::bit_cast<std::uint64_t>(&value), sizeof value, offset);
  }
  template <class T>
  T config(iommufd::OpenFile& device, std::uint64_t offset) {
    T value{};
    EXPECT_EQ(get(device, region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + offset, value).value(), sizeof value);
    return value;
  }
  template <class T>
  void set_config(iommufd::OpenFile& device, std::uint64_t offset, T value) {
    EXPECT_EQ(put(device, region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + offset, value).value(), sizeof value);
  }
  void set_bus_master(iommufd::OpenFile& device, bool on = true) { set_config<std::uint16_t>(device, 4, on ? 6 : 2); }
  // A command of the toy, in BAR 0.
  void command(iommufd::OpenFile& device, std::uint32_t bits) { ASSERT_TRUE(put(device, ToyModel::command_register, bits)); }
  void aim(iommufd::OpenFile& device, std::uint64_t iova, std::uint64_t data) {
    ASSERT_TRUE(put(device, ToyModel::address_register, iova));
    ASSERT_TRUE(put(device, ToyModel::data_register, data));
  }
  // Does DMA of the toy get there?
  bool writes_to(iommufd::OpenFile& device, std::uint64_t iova, std::uint64_t data) {
    aim(device, iova, data);
    auto const before = log_->writes.load();
    command(device, ToyModel::write_once);
    return log_->writes.load() != before;
  }

  template <std::size_t count, class T>
  struct IrqSet {
    std::uint32_t argsz, flags, index, start, amount;
    std::array<T, count> data;
  };
  int set_irqs(iommufd::OpenFile& device, std::uint32_t flags, std::uint32_t index, std::uint32_t start, std::uint32_t count) {
    IrqSet<1, std::uint32_t> set{20, flags, index, start, count, {}};
    return on(device, VFIO_DEVICE_SET_IRQS, &set);
  }
  template <std::size_t count>
  int set_events(iommufd::OpenFile& device, std::uint32_t index, std::uint32_t start, std::array<std::int32_t, count> events,
                 std::uint32_t action = VFIO_IRQ_SET_ACTION_TRIGGER) {
    IrqSet<count, std::int32_t> set{20 + 4 * count, VFIO_IRQ_SET_DATA_EVENTFD | action, index, start, count, events};
    return on(device, VFIO_DEVICE_SET_IRQS, &set);
  }
  template <std::size_t count>
  int set_bools(iommufd::OpenFile& device, std::uint32_t index, std::uint32_t start, std::array<std::uint8_t, count> bools,
                std::uint32_t action = VFIO_IRQ_SET_ACTION_TRIGGER) {
    IrqSet<count, std::uint8_t> set{20 + count, VFIO_IRQ_SET_DATA_BOOL | action, index, start, count, bools};
    return on(device, VFIO_DEVICE_SET_IRQS, &set);
  }
  int new_event() {
    events_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return events_.back().get();
  }
  // What was added since the last time.
  static std::uint64_t count(int event) {
    std::uint64_t value = 0;
    return ::read(event, &value, sizeof value) == sizeof value ? value : 0;
  }
  static bool comes(int event) {
    pollfd waited{event, POLLIN, 0};
    return ::poll(&waited, 1, 10000) == 1;
  }

  void TearDown() override {
    caller_.files().clear();
    bus_ = nullptr;
    iommufd::IommufdTest::TearDown();
  }

  std::shared_ptr<ToyModel::Log> log_ = std::make_shared<ToyModel::Log>();
  std::shared_ptr<PciBus> bus_ = PciBus::create(engine_).value();
  std::uint32_t device_id_ = 0, hwpt_id_ = 0;  // of the last bind and attach
  std::array<std::uint8_t, 16> uuid_{};

 private:
  std::vector<Descriptor> events_;
};

}  // namespace swiommu::vfio
