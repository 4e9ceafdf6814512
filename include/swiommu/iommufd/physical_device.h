// A device as the machine has it, before any program opens it: whose DMA it is, behind which IOMMU, together with which others.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/device/device.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/device/page_request.h"
#include "swiommu/profile/profile.h"

namespace swiommu::iommufd {

class DeviceGroup;
class Driver;
class PageRequests;

// A group for several devices. ENOMEM.
Result<std::shared_ptr<DeviceGroup>> new_group();

struct DeviceCapabilities {
  bool cache_coherent = true;       // EINVAL at bind() without it
  bool isolated_interrupts = true;  // EPERM at bind() without it
  bool dirty_tracking = false;
  bool pasid_exec = false;  // PCI PASID capability
  bool pasid_priv = false;
  bool set_pasid = true;                // the driver can attach PASIDs
  std::uint32_t max_pasids = 1u << 20;  // of the IOMMU
  bool ats = false;
  bool page_requests = false;     // PCI PRI capability
  bool virtual_function = false;  // of SR-IOV
};

// Threads: immutable but for what other classes guard themselves. DMA and page requests from any thread.
class PhysicalDevice final : public PageRequestTarget, public std::enable_shared_from_this<PhysicalDevice> {
 public:
  // A device alone in its group unless told otherwise. `device` is where its DMA goes; its pasid_bits say how many PASIDs it has
  // (0: none). What the IOMMU itself lacks is taken from `capabilities`, and what it reserves is added. `responses` is called for
  // each group of page requests that was reported, once, on any thread, and must neither call back nor throw. ENOMEM.
  struct Options {
    DeviceCapabilities capabilities;
    std::vector<ReservedIovas> reserved;
    std::shared_ptr<DeviceGroup> group;
    std::function<void(PageResponse const&)> responses;
  };
  static Result<std::shared_ptr<PhysicalDevice>> create(std::shared_ptr<Device> device, std::shared_ptr<Driver> driver,
                                                        Options options);
  ~PhysicalDevice() override;
  PhysicalDevice(PhysicalDevice const&) = delete;
  PhysicalDevice& operator=(PhysicalDevice const&) = delete;

  [[nodiscard]] std::shared_ptr<Device> const& device() const { return device_; }
  [[nodiscard]] std::shared_ptr<Driver> const& driver() const { return driver_; }
  [[nodiscard]] std::shared_ptr<DeviceGroup> const& group() const { return options_.group; }
  [[nodiscard]] DeviceCapabilities const& capabilities() const { return options_.capabilities; }
  [[nodiscard]] std::vector<ReservedIovas> const& reserved() const { return options_.reserved; }
  // How many PASIDs there are: what both the device and the IOMMU have. 0: none.
  [[nodiscard]] std::uint64_t pasids() const {
    unsigned const bits = device_->options().pasid_bits;
    return bits == 0 ? 0 : std::min<std::uint64_t>(bit(bits), options_.capabilities.max_pasids);
  }

  // The device asks for pages. Requests of one group wait until the last one comes; then the group goes to the fault queue of
  // what the device, or its PASID, is attached to. EINVAL: nobody listens there, ENOSPC: too many wait for an answer; the
  // response (invalid) has been given, if this was the last request. ENOMEM. DMA in ports that ask for pages comes here by
  // itself, if the device has page requests.
  Result<void> report(PageRequest const& request) override;

  // DMA of the device met a fault: tells whoever wants to know (a guest's event queue). Not inside a guard.
  void report(FaultRecord const& fault) const;

  // Answers the device.
  void respond(PageResponse const& response) const;

  [[nodiscard]] PageRequests& page_requests() const { return *page_requests_; }

 private:
  PhysicalDevice(std::shared_ptr<Device> device, std::shared_ptr<Driver> driver, Options options);

  std::shared_ptr<Device> const device_;
  std::shared_ptr<Driver> const driver_;
  Options const options_;
  std::unique_ptr<PageRequests> page_requests_;
};

}  // namespace swiommu::iommufd
