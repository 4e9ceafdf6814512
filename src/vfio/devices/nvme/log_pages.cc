#include "vfio/devices/nvme/log_pages.h"

#include <initializer_list>

namespace swiommu::vfio::nvme {
namespace {

constexpr std::uint32_t supported = 1, changes_data = 2;  // figure 206: CSUPP, LBCC

// 5.14.1.5.
void commands_and_effects(DataPage& page) {
  for (auto const opcode :
       {AdminOpcode::delete_submission_queue, AdminOpcode::create_submission_queue, AdminOpcode::get_log_page,
        AdminOpcode::delete_completion_queue, AdminOpcode::create_completion_queue, AdminOpcode::identify, AdminOpcode::abort,
        AdminOpcode::set_features, AdminOpcode::get_features, AdminOpcode::asynchronous_event_request})
    page.put(4 * static_cast<std::size_t>(opcode), supported);
  constexpr std::size_t nvm = 1024;
  for (auto const opcode : {NvmOpcode::flush, NvmOpcode::read, NvmOpcode::compare, NvmOpcode::verify})
    page.put(nvm + 4 * static_cast<std::size_t>(opcode), supported);
  for (auto const opcode : {NvmOpcode::write, NvmOpcode::write_zeroes, NvmOpcode::dataset_management})
    page.put(nvm + 4 * static_cast<std::size_t>(opcode), supported | changes_data);
}

}  // namespace

Status log_page(Command const& command, State const& state, DataPage& page, std::size_t& bytes) {
  if (command.nsid != 0 && command.nsid != every_namespace) return status::invalid_field;  // none is of one namespace
  bytes = DataPage::bytes;
  switch (command.cdw10 & 0xff) {  // figure 191
    case 0x01: page = state.errors.page(); return status::success;
    case 0x02:
      page = state.health.page(state.errors.count(), state.features.temperature_warning());
      bytes = 512;
      return status::success;
    case 0x03:
      page.put(0, std::uint8_t{1});  // slot 1 is active
      page.put_text(8, 8, firmware_revision);
      bytes = 512;
      return status::success;
    case 0x04: return status::success;  // namespaces never change
    case 0x05: commands_and_effects(page); return status::success;
    default: return status::invalid_log_page;
  }
}

}  // namespace swiommu::vfio::nvme
