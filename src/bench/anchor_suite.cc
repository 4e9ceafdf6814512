// What a guest's change of its anchor costs: a nested domain is made and takes the place of the one before, which goes.
#include <algorithm>

#include "bench/background.h"
#include "bench/failure.h"
#include "bench/front_end.h"
#include "bench/guest.h"
#include "bench/suites.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/hardware/zpci_guest_function.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/iommufd_hardware.h"

namespace swiommu::bench {

namespace {

constexpr std::uint64_t guest_pages = 256;

Label label(std::string chart, std::string series) {
  return {.suite = "anchor", .chart = std::move(chart), .series = std::move(series), .axis = "", .x = 0, .per = "new anchor"};
}

// A device with a port, on a guest's table.
struct World {
  explicit World(Nesting const& nesting) : guest(nesting, guest_pages), device(needed(Device::create(guest.host()))) {
    needed(device->attach(needed(NestedDomain::create(guest.parent(), guest.description()))));
    port = needed(device->open_port());
  }
  double time_anchors(std::uint64_t operations) const {
    bool good = true;
    double const took = nanoseconds([&] {
      for (std::uint64_t n = 0; n < operations; n++) {
        auto nested = NestedDomain::create(guest.parent(), guest.description());
        good &= nested && device->replace(std::move(*nested));
      }
    });
    require(good, "the anchor could not be changed");
    return took;
  }
  // One DMA of the port.
  bool touch(std::uint64_t page) const {
    Port::Guard const guard(*port);
    return port->translate(guard, Iova(guest.iova(page % guest_pages)), Access::reading()).has_value();
  }

  Guest guest;
  std::shared_ptr<Device> device;
  std::unique_ptr<Port> port;
};

Measurement idle(Nesting const& nesting) {
  return {.label = label("in the library, one idle port", nesting.name()), .prepare = [=] {
            auto const world = std::make_shared<World>(nesting);
            return Run{[=](std::uint64_t operations) { return world->time_anchors(operations); }};
          }};
}

Measurement busy(Nesting const& nesting) {
  return {.label = label("in the library, one busy port", nesting.name()), .prepare = [=] {
            auto const world = std::make_shared<World>(nesting);
            auto const traffic =
                std::make_shared<Background>([world, page = std::uint64_t{0}]() mutable { return world->touch(page++); });
            return Run{[=](std::uint64_t operations) {
              double const took = world->time_anchors(operations);
              traffic->check();
              return took;
            }};
          }};
}

// HWPT_ALLOC, attach to it, DESTROY of the one before.
Measurement through_ioctls() {
  return {.label = label("through ioctls, one idle port", "VT-d"), .prepare = [] {
            Profile const profile = needed(load_profile("intel-vtd"));
            auto const front_end = std::make_shared<FrontEnd>(profile);
            iommu_hwpt_alloc parent{.size = sizeof parent, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
            parent.dev_id = front_end->device().id();
            parent.pt_id = front_end->ioas();
            front_end->call(IOMMU_HWPT_ALLOC, parent);
            auto const current = std::make_shared<std::uint32_t>(parent.out_hwpt_id);
            needed(front_end->device().attach(*current));
            *current = 0;
            return Run{[=, on = parent.out_hwpt_id](std::uint64_t operations) {
              bool good = true;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++) {
                  iommu_hwpt_vtd_s1 const data{.flags = 0, .pgtbl_addr = 0x1000, .addr_width = 48, .__reserved = 0};
                  iommu_hwpt_alloc call{.size = sizeof call, .dev_id = front_end->device().id(), .pt_id = on};
                  call.data_type = IOMMU_HWPT_DATA_VTD_S1;
                  call.data_len = sizeof data;
                  call.data_uptr = std::bit_cast<std::uint64_t>(&data);
                  good &= front_end->tried(IOMMU_HWPT_ALLOC, call);
                  std::uint32_t next = call.out_hwpt_id;
                  good &= front_end->device().replace(next).has_value();
                  iommu_destroy destroy{.size = sizeof destroy, .id = *current};
                  if (*current != 0) good &= front_end->tried(IOMMU_DESTROY, destroy);
                  *current = call.out_hwpt_id;
                }
              });
              require(good, "an ioctl failed");
              return took;
            }};
          }};
}

// MPCIFC, reregister I/O address translation. A shadow composes the guest's whole table each time.
Measurement zpci(zpci::GuestFunction::Mechanism mechanism) {
  bool const nested = mechanism == zpci::GuestFunction::Mechanism::nested;
  return {.label = label("MPCIFC of zPCI, a table of 256 pages", nested ? "nested" : "shadow"), .prepare = [=] {
            auto const guest = std::make_shared<Guest>(
                Nesting{.user = needed(find_format("s390-zpci-rt")), .parent = needed(find_format("vtd-second-stage"))},
                guest_pages);
            auto const device = needed(Device::create(guest->host()));
            std::shared_ptr<zpci::GuestFunction> const function =
                needed(zpci::GuestFunction::create(guest->parent(), device, {.mechanism = mechanism}));
            zpci::Fib const fib{.pba = __builtin_bswap64(guest->iova(0)),
                                .pal = __builtin_bswap64(low_bits(42)),
                                .iota = __builtin_bswap64(guest->description().root | 0x804)};  // a region-third table
            constexpr std::uint64_t handle = std::uint64_t{0x80000001} << 32;
            require(function->modify(handle | SWIOMMU_ZPCI_REGISTER_IOAT, fib).condition_code == 0,
                    "the table could not be registered");
            std::shared_ptr<Port> const port = needed(device->open_port());
            return Run{[=](std::uint64_t operations) {
              bool good = port != nullptr;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++)
                  good &= function->modify(handle | SWIOMMU_ZPCI_REREGISTER_IOAT, fib).condition_code == 0;
              });
              require(good && guest != nullptr, "the table could not be registered");
              return took;
            }};
          }};
}

}  // namespace

std::vector<Measurement> anchor_suite(Scope const& scope) {
  std::vector<Measurement> all;
  for (Nesting const& nesting : nestings(scope)) all.push_back(idle(nesting));
  if (has_processors(2))
    for (Nesting const& nesting : nestings(scope)) all.push_back(busy(nesting));
  all.push_back(through_ioctls());
  all.push_back(zpci(zpci::GuestFunction::Mechanism::nested));
  all.push_back(zpci(zpci::GuestFunction::Mechanism::shadow));
  return all;
}

}  // namespace swiommu::bench
