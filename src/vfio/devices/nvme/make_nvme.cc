#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "swiommu/vfio/nvme.h"
#include "vfio/devices/nvme/controller.h"

namespace swiommu::vfio {
namespace {

using namespace nvme;

// PCI Code and ID Assignment Specification: mass storage, NVM, an NVMe I/O controller.
constexpr std::uint32_t nvme_class = 0x010802;
// Assigned to nobody; drivers go by the class.
constexpr std::uint16_t vendor = 0x1234, device = 0x4e56;

constexpr std::uint64_t page = 4096;
constexpr unsigned message_bar = 4;

bool is_text(std::string_view text, std::size_t longest) {
  return !text.empty() && text.size() <= longest &&
         std::ranges::all_of(text, [](char each) { return each >= ' ' && each <= '~'; });
}

Result<> check(NvmeOptions const& options) {
  if (options.io_queues < 1 || options.io_queues > 1023)
    return fail(EINVAL, fmt::format("{} I/O queues: there may be 1 to 1023", options.io_queues));
  if (options.queue_entries < 2 || options.queue_entries > 65536)
    return fail(EINVAL, fmt::format("queues of {} entries: there may be 2 to 65536", options.queue_entries));
  if (options.mdts < 1 || options.mdts > 11)
    return fail(EINVAL, fmt::format("a largest transfer of 4 KiB * 2^{}: the exponent may be 1 to 11", options.mdts));
  if (options.io_threads < 1 || options.io_threads > 64)
    return fail(EINVAL, fmt::format("{} threads for I/O queues: there may be 1 to 64", options.io_threads));
  if (!is_text(options.serial, 20)) return fail(EINVAL, "the serial number of an NVMe controller is 1 to 20 characters of ASCII");
  if (!is_text(options.model, 40)) return fail(EINVAL, "the model of an NVMe controller is 1 to 40 characters of ASCII");
  return {};
}

Result<> record(std::string const& path, Namespaces const& namespaces) {
  std::vector<RecordedNamespace> descriptions;
  for (auto const& ns : namespaces) descriptions.push_back(ns->description());
  auto const made = WriteRecord::create(path, descriptions);
  if (!made) return std::unexpected(made.error());
  for (std::uint32_t n = 0; n < namespaces.size(); n++) namespaces[n]->record_to(*made, n + 1);
  return {};
}

std::uint64_t register_bytes(NvmeOptions const& options) {
  return std::bit_ceil(std::max<std::uint64_t>(4 * page, offset::doorbells + 8 * (options.io_queues + 1u)));
}

// 3.1.1: queues in one piece, 10 s to become ready, the NVM command set, pages of 4 to 64 KiB.
std::uint64_t capabilities(NvmeOptions const& options) {
  return (options.queue_entries - 1) | 1u << 16 | 20u << 24 | std::uint64_t{1} << 37 |
         std::uint64_t{largest_page_size_lg2 - 12} << 52;
}

ModelDescription describe(NvmeOptions const& options) {
  auto const vectors = static_cast<std::uint16_t>(options.io_queues + 1);
  std::uint64_t const table = std::bit_ceil(std::max<std::uint64_t>(page, std::uint64_t{vectors} * 16));
  return {
      .identity = {.vendor = vendor,
                   .device = device,
                   .subsystem_vendor = vendor,
                   .subsystem = device,
                   .class_code = nvme_class,
                   .revision = 1},
      .bars = {{.number = 0, .bytes = register_bytes(options)}, {.number = message_bar, .bytes = 2 * table, .mappable = false}},
      .msix = {.vectors = vectors, .bar = message_bar, .table_offset = 0, .pending_offset = static_cast<std::uint32_t>(table)},
      .msi_vectors = std::bit_floor(std::min(32u, unsigned{vectors})),
      .line = true};
}

}  // namespace

Result<std::unique_ptr<Controller>> nvme::make_controller(Slot& slot, NvmeOptions const& options) {
  return guarded([&]() -> Result<std::unique_ptr<Controller>> {
    SWIOMMU_TRY(check(options));
    Namespaces namespaces;
    for (NvmeNamespaceOptions const& each : options.namespaces) {
      auto opened = Namespace::open(each);
      if (!opened) return std::unexpected(std::move(opened).error());
      namespaces.push_back(std::move(*opened));
    }
    if (!options.record.empty()) SWIOMMU_TRY(record(options.record, namespaces));
    auto memory = RegisterMemory::create(register_bytes(options));
    if (!memory) return std::unexpected(std::move(memory).error());
    return Controller::create(std::make_unique<State>(slot, options, describe(options), std::move(*memory), capabilities(options),
                                                      std::move(namespaces)));
  });
}

Result<std::unique_ptr<DeviceModel>> make_nvme(Slot& slot, NvmeOptions const& options) {
  auto controller = make_controller(slot, options);
  if (!controller) return std::unexpected(std::move(controller).error());
  SWIOMMU_TRY((*controller)->start());
  return std::move(*controller);
}

}  // namespace swiommu::vfio
