// Devices in a stream of ioctls: what drivers of devices do with /dev/iommu, and what the devices do themselves.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "ioctl_values.h"
#include "iommufd/file.h"
#include "iommufd/selftest/mock_device.h"
#include "outcome_counts.h"
#include "swiommu/device/page_request.h"
#include "swiommu/device/port.h"
#include "swiommu/iommufd/bound_device.h"

namespace swiommu::fuzzing {

class Devices {
 public:
  Devices(World& world, Values& values, OutcomeCounts& counts) : world_(world), values_(values), counts_(counts) {
    if (!world.driver) return;
    for (unsigned n = 0; n < 2; n++) {
      iommufd::PhysicalDevice::Options options;
      options.capabilities = {.dirty_tracking = n == 0, .ats = true, .page_requests = true};
      options.responses = [this](PageResponse const& response) { responses_ += response.group < first_port_group ? 1 : 0; };
      auto device = Device::create(world.engine->host(), {.pasid_bits = n == 0 ? 11u : 0u}).value();
      physical_.push_back(iommufd::PhysicalDevice::create(std::move(device), world.driver, std::move(options)).value());
      bound_.emplace_back();
    }
  }

  void bind(FuzzInput& input, std::shared_ptr<iommufd::OpenFile> const& file) {
    if (bound_.empty()) return;
    unsigned const n = input.below(2);
    if (bound_[n]) {
      if (input.flag()) bound_[n] = nullptr;
      return;
    }
    auto made = iommufd::BoundDevice::bind(file, physical_[n]);
    count("bind", made);
    if (!made) return;
    bound_[n] = std::move(*made);
    values_.add(Kind::new_device, bound_[n]->id());
  }
  void attach(FuzzInput& input) {
    if (bound_.empty()) return;
    unsigned const n = input.below(2), what = input.below(4);
    auto const pasid = a_pasid(input);
    if (what == 3 && bound_[n])
      bound_[n]->detach(pasid);
    else
      attach(n, what == 2, static_cast<std::uint32_t>(values_.field(input, Kind::attachable, nullptr)), pasid);
  }
  void attach(unsigned n, bool replaces, std::uint32_t id, std::optional<Pasid> pasid = {}) {
    if (bound_.empty() || !bound_[n]) return;
    auto const result = replaces ? bound_[n]->replace(id, pasid) : bound_[n]->attach(id, pasid);
    count(replaces ? (pasid ? "replace PASID" : "replace") : pasid ? "attach PASID" : "attach", result);
    if (result) values_.add(Kind::new_paging, id);
  }

  // DMA of a device that this file has, through a port that stays open.
  void dma(FuzzInput& input, iommufd::OpenFile& file) {
    auto const physical = a_device(input, file);
    if (!physical) return;
    auto& port = ports_[physical->device().get()];
    if (!port) {
      port = physical->device()->open_port().value();
      port->on_missing_page(input.flag() ? OnMissingPage::ask : OnMissingPage::fault);
    }
    std::uint64_t const page = input.flag() ? values_.tables().first_dma() + Arena::page * input.below(Arena::pages)
                                            : values_.field(input, Kind::iova, nullptr);
    Iova const iova(page + input.below(64));
    auto const pasid = a_pasid(input);
    static std::byte bytes[2 * Arena::page];
    std::uint64_t const length = input.flag() ? sizeof bytes : 1 + input.below(64);
    std::optional<FaultRecord> fault;
    switch (input.below(5)) {
      case 0: fault = port->read(iova, bytes, length, pasid).fault; break;
      case 1: fault = port->write(iova, bytes, length, pasid).fault; break;
      case 2: {
        auto const result = port->fetch_add<std::uint32_t>(iova, 1, pasid);
        if (!result) return require(result.error().code == EINVAL);
        fault = result->fault;
        break;
      }
      case 3: {
        auto const result = port->compare_swap<std::uint64_t>(iova, 0, 0x467, pasid);
        if (!result) return require(result.error().code == EINVAL);
        fault = result->fault;
        break;
      }
      default: {
        Port::Guard const guard(*port);
        auto const access = input.flag() ? Access::writing() : Access::reading();
        auto const chunk = port->translate(guard, iova, access, pasid);
        if (chunk) require(chunk->data != nullptr && chunk->length > 0);
        if (!chunk) fault = chunk.error();
      }
    }
    counts_.add("DMA", name(world_.profile.hardware), fault ? EFAULT : 0);
    if (!fault) return;
    require(!describe(*fault).empty());
    physical->report(*fault);
  }

  void ask_for_page(FuzzInput& input, iommufd::OpenFile& file) {
    auto const physical = a_device(input, file);
    if (!physical) return;
    PageRequest request;
    request.pasid = a_pasid(input);
    request.group = input.below(4);
    request.last = input.below(3) != 1;
    request.read = true;
    request.write = input.flag();
    request.iova = values_.field(input, Kind::iova, nullptr);
    auto const result = physical->report(request);
    count("page request", result);
    if (world_.driver && request.last) asked_++;
  }

  // All that was asked for is answered, and nothing is attached any more.
  void end() {
    for (auto& bound : bound_) bound = nullptr;
    std::byte byte{};
    for (auto const& [device, port] : ports_) {
      require(device->domain() == nullptr);
      require(!port->read(Iova(world_.first_iova), &byte, 1).ok());
    }
    require(responses_ == asked_);
  }

 private:
  template <class Outcome>
  void count(std::string_view what, Outcome const& outcome) {
    if (!outcome) require(outcome.error().code > 0 && !outcome.error().about.empty());
    counts_.add(what, name(world_.profile.hardware), outcome ? 0 : outcome.error().code);
  }
  static std::optional<Pasid> a_pasid(FuzzInput& input) {
    unsigned const form = input.below(8);
    return form < 5 ? std::nullopt : std::optional<Pasid>(form < 7 ? form - 4 : input.take<std::uint16_t>());
  }
  std::shared_ptr<iommufd::PhysicalDevice> a_device(FuzzInput& input, iommufd::OpenFile& file) {
    if (!physical_.empty()) return physical_[input.below(2)];
    auto* const iommu = dynamic_cast<iommufd::File*>(&file);
    if (iommu == nullptr) return nullptr;
    auto const id = static_cast<std::uint32_t>(values_.field(input, Kind::mock, nullptr));
    Lock const lock(iommu->mutex());
    auto const mock = iommu->objects().find<iommufd::selftest::MockDevice>(id);
    return mock ? (*mock)->physical() : nullptr;
  }

  World& world_;
  Values& values_;
  OutcomeCounts& counts_;
  unsigned asked_ = 0, responses_ = 0;
  std::vector<std::shared_ptr<iommufd::PhysicalDevice>> physical_;
  std::vector<std::unique_ptr<iommufd::BoundDevice>> bound_;
  std::map<Device*, std::unique_ptr<Port>> ports_;  // which keep their devices
};

}  // namespace swiommu::fuzzing
