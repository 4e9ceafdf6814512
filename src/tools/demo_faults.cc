// The faults of the demonstration, each provoked and explained.
#include "tools/demo_act.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "tools/numbers.h"
#include "tools/output.h"

namespace swiommu::tools {

void DemoAct::expect_fault(char const* what, std::uint64_t iova, Access access, Reason reason) {
  std::array<std::byte, 8> data{};
  DmaResult const result =
      access.write ? port_->write(Iova(iova), data.data(), data.size()) : port_->read(Iova(iova), data.data(), data.size());
  bool const right = result.fault && result.fault->reason == reason && result.done == 0;
  expect(right, fmt::format("{}: iova {} gives {} (expected {})", what, hex(iova),
                            result.fault ? std::string(name(result.fault->reason)) : "no fault", name(reason)));
  faults_++;
  if (result.fault) say(fmt::format("    {:<18} {}", name(result.fault->reason), describe(*result.fault)));
}

Result<void> DemoAct::provoke_faults() {
  say("  faults, provoked one by one:");
  std::vector<std::byte> const before = guest_.snapshot();
  unsigned const page_lg2 = second_table_->shape().smallest_page_lg2();
  expect_fault("nothing mapped", hole_iova_, Access::reading(), Reason::not_mapped);
  expect_fault("read-only", read_only_iova_, Access::writing(), Reason::permission);
  expect_fault("output outside memory", nowhere_iova_, Access::reading(), Reason::output_unreachable);
  TableShape const& shape = second_table_->shape();
  if (shape.input_bits < 64) expect_fault("too large", bit(shape.input_bits), Access::reading(), Reason::out_of_range);
  expect(guest_.snapshot() == before, "faults change nothing in guest memory");

  // The guest breaks its table: an entry on the way points where no memory is.
  std::vector<WalkStep> steps;
  (void)second_table_->explain(read_only_iova_, Access::reading(), steps);
  auto const step = std::ranges::find_if(steps, [](WalkStep const& s) { return s.kind == "table"; });
  if (step != steps.end()) {
    bool const swapped = configuration_->user->big_endian;
    // RISC-V has its addresses two bits further down.
    auto const format = configuration_->user->format.format;
    unsigned const shift = format == FormatName::riscv || format == FormatName::riscv_x4 ? 2 : 0;
    std::uint64_t const table = std::next(step)->table;
    std::uint64_t const broken = step->entry ^ (table ^ outside_memory(table)) >> shift;
    std::uint64_t const stored = swapped ? __builtin_bswap64(broken) : broken;
    guest_.domain()->write(step->entry_address, &stored, sizeof stored);
    SWIOMMU_TRY(nested_->invalidate(Range::all()));
    expect_fault("table outside memory", read_only_iova_, Access::reading(), Reason::table_unreachable);
  }
  // Taken from under the table: the parent's mapping of a data page goes, and the children know at once.
  if (!second_.empty() && step != steps.end() && steps.size() > 1) {
    std::uint64_t const stored = configuration_->user->big_endian ? __builtin_bswap64(step->entry) : step->entry;
    guest_.domain()->write(step->entry_address, &stored, sizeof stored);
    auto const [iova, page] = *second_.begin();
    Range const taken = Range::block(page, page_lg2);
    HostAddress const host(guest_.domain()->translate(page, Access::reading(), Update::no).output);
    auto const unmapped = guest_.domain()->unmap(taken, Cut::split);
    if (!unmapped) return std::unexpected(unmapped.error());
    expect_fault("memory taken away", iova, Access::writing(), Reason::output_unreachable);
    SWIOMMU_TRY(guest_.domain()->map(taken, host, {.access = Access::both()}));
    std::byte byte{};
    expect(port_->read(Iova(iova), &byte, 1).ok(), "memory that is given back is there again");
  }
  // A device that the hardware's structures do not know.
  auto const iommu = open_iommu(case_.iommu, case_.registers, UnknownRegisters::ignore, *guest_.domain());
  if (iommu && case_.iommu != "s390") {
    std::uint32_t const stranger = case_.device ^ 0xf8;
    if (auto const found = (*iommu)->find(stranger, std::nullopt); !found)
      say(fmt::format("    {:<18} device 0x{:x}: {}", name(Reason::configuration), stranger, found.error().about));
  }
  return {};
}

}  // namespace swiommu::tools
