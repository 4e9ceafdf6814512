// IOAS_CHANGE_PROCESS: who pays for what is mapped from files, after a program has replaced itself.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "iommufd/bill.h"
#include "iommufd/commands.h"
#include "iommufd/ioas.h"

namespace swiommu::iommufd {
namespace {

// Each bill once. EINVAL: something is mapped that is no file.
Result<std::vector<std::shared_ptr<Bill>>> bills_of(ObjectTable const& objects) {
  std::vector<std::shared_ptr<Bill>> bills;
  Result<void> done;
  objects.for_each<Ioas>([&](std::shared_ptr<Ioas> const& ioas) {
    if (!done) return;
    auto const areas = ioas->space().areas(Range::all());
    if (!areas) {
      done = std::unexpected(areas.error());
      return;
    }
    for (Area const& area : *areas) {
      if (area.pages->origin().kind != Origin::Kind::file) {
        done = fail(EINVAL, fmt::format("the area {:#x}-{:#x} of IOAS {} is mapped from {}, not from a file", area.iovas.start,
                                        area.iovas.last, ioas->id(), area.pages->origin().describe(area.offset)));
        return;
      }
      if (auto bill = std::dynamic_pointer_cast<Bill>(area.pages->account())) bills.push_back(std::move(bill));
    }
  });
  if (!done) return std::unexpected(std::move(done).error());
  std::ranges::sort(bills);
  bills.erase(std::ranges::unique(bills).begin(), bills.end());
  return bills;
}

}  // namespace

Result<void> ioas_change_process(Command<iommu_ioas_change_process> const& command) {
  if (command.arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  auto const bills = bills_of(command.file.objects());
  if (!bills) return std::unexpected(bills.error());
  command.caller.read_limits();
  auto const process = command.caller.process();
  // The old process is released only when the new one has paid for everything, as in Linux: a user who is both needs room twice.
  for (std::size_t charged = 0; charged < bills->size(); ++charged) {
    auto done = (*bills)[charged]->charge_too(process);
    if (done) continue;
    while (charged > 0) (*bills)[--charged]->release_from(process);
    return done;
  }
  for (auto const& bill : *bills) bill->settle(process);
  return {};
}

}  // namespace swiommu::iommufd
