#include "hardware/riscv/device_context.h"

#include <fmt/format.h>

namespace swiommu::riscv {

namespace {

constexpr bool paged(unsigned mode) { return mode >= 8 && mode <= 10; }
constexpr unsigned levels_of(unsigned mode) { return mode - 5; }  // Sv39 3, Sv48 4, Sv57 5
constexpr unsigned width_of(unsigned mode) { return 9 * mode - 33; }
static_assert(width_of(8) == 39 && width_of(9) == 48 && width_of(10) == 57);

}  // namespace

std::string misconfigured_first_stage(TablePointer fsc, Capabilities const& capabilities, bool narrow) {
  if (fsc.reserved_bits()) return fmt::format("reserved bits of fsc = {:#x} are set", fsc.word);
  unsigned const mode = fsc.mode();
  if (mode == 0) return {};
  if (narrow)
    return mode == 8 ? "tc.SXL = 1 selects Sv32 tables, which are not supported here"
                     : fmt::format("fsc.MODE = {} is reserved", mode);
  if (!paged(mode)) return fmt::format("fsc.MODE = {} is no first-stage scheme", mode);
  if (!capabilities.first_stage(mode))
    return fmt::format("fsc.MODE = {} is Sv{}, which capabilities lacks", mode, width_of(mode));
  return {};
}

bool DeviceContext::reserved_bits() const {
  if ((words_[0] & (bit_span(23, 12) | bit_span(63, 32))) != 0) return true;  // tc
  // ta: RCID and MCID are reserved without the extension for them
  std::uint64_t const ta_reserved =
      bit_span(11, 0) | bit_span(39, 32) | (capabilities_.quality_of_service() ? 0 : bit_span(63, 40));
  if ((words_[2] & ta_reserved) != 0) return true;
  if (!capabilities_.extended_context()) return false;
  return TablePointer{words_[4]}.reserved_bits() || ((words_[5] | words_[6]) & bit_span(63, 52)) != 0 || words_[7] != 0;
}

std::string DeviceContext::misconfigured_control() const {
  bool const en_ats = tc(1), en_pri = tc(2), t2gpa = tc(3), prpr = tc(6);
  if ((en_ats || en_pri || prpr) && !capabilities_.ats()) return "tc asks for ATS or PRI, which capabilities.ATS lacks";
  if (t2gpa && !en_ats) return "tc.T2GPA = 1 without EN_ATS";
  if (en_pri && !en_ats) return "tc.EN_PRI = 1 without EN_ATS";
  if (prpr && !en_pri) return "tc.PRPR = 1 without EN_PRI";
  if (t2gpa && !capabilities_.t2gpa()) return "tc.T2GPA = 1, which capabilities.T2GPA lacks";
  if (t2gpa && iohgatp().bare()) return "tc.T2GPA = 1 without a second stage";
  if ((tc(7) || tc(8)) && !capabilities_.updates_entries()) return "tc.GADE or tc.SADE = 1, which capabilities.AMO_HWAD lacks";
  if (tc(10) != capabilities_.big_endian() && !capabilities_.both_byte_orders())
    return fmt::format("tc.SBE = {:d} is not the byte order of fctl.BE, and capabilities.END = 0", tc(10));
  if (capabilities_.narrow_guest() && !narrow()) return "tc.SXL = 0, and fctl.GXL = 1";
  if (default_process() && !has_process_directory()) return "tc.DPE = 1 without PDTV";
  return {};
}

std::string DeviceContext::misconfigured_second_stage() const {
  unsigned const mode = iohgatp().mode();
  if (mode == 0) return {};
  if (capabilities_.narrow_guest())
    return mode == 8 ? "fctl.GXL = 1 selects Sv32x4 tables, which are not supported here"
                     : fmt::format("iohgatp.MODE = {} is reserved", mode);
  if (!paged(mode)) return fmt::format("iohgatp.MODE = {} is reserved", mode);
  if (!capabilities_.second_stage(mode))
    return fmt::format("iohgatp.MODE = {} is Sv{}x4, which capabilities lacks", mode, width_of(mode));
  if (narrow()) return "tc.SXL = 1 over a 64-bit second stage is not supported here";
  if (!is_aligned(iohgatp().address(), 14))
    return fmt::format("the second-stage root {:#x} is no multiple of 16 KiB", iohgatp().address());
  return {};
}

std::string DeviceContext::misconfigured() const {
  if (reserved_bits()) return "reserved bits are set";
  if (std::string why = misconfigured_control(); !why.empty()) return why;
  if (std::string why = misconfigured_second_stage(); !why.empty()) return why;
  if (capabilities_.extended_context() && TablePointer{words_[4]}.mode() > 1)
    return fmt::format("msiptp.MODE = {} is neither Off nor Flat", TablePointer{words_[4]}.mode());
  if (!has_process_directory()) return misconfigured_first_stage(fsc(), capabilities_, narrow());
  unsigned const mode = fsc().mode();
  if (fsc().reserved_bits()) return fmt::format("reserved bits of pdtp = {:#x} are set", fsc().word);
  if (mode > 3) return fmt::format("pdtp.MODE = {} is no process directory", mode);
  if (mode != 0 && !capabilities_.process_directory(mode))
    return fmt::format("pdtp.MODE = {} is PD{}, which capabilities lacks", mode, mode == 1 ? 8 : mode == 2 ? 17 : 20);
  return {};
}

UserPageTable DeviceContext::second_stage() const {
  UserPageTable table;
  table.format.format = FormatName::riscv_x4;
  table.format.levels = levels_of(iohgatp().mode());
  table.format.output_bits = capabilities_.physical_bits();
  table.format.accessed_updates = table.format.dirty_updates = tc(7);  // GADE
  table.format.svpbmt = capabilities_.svpbmt();
  table.root = iohgatp().address();
  table.big_endian = capabilities_.big_endian();
  return table;
}

UserPageTable DeviceContext::first_stage(TablePointer fsc, bool nested) const {
  UserPageTable table;
  table.format.format = FormatName::riscv;
  table.format.levels = levels_of(fsc.mode());
  // What a guest physical address may be, the second stage says.
  table.format.output_bits = nested ? 0 : capabilities_.physical_bits();
  table.format.accessed_updates = table.format.dirty_updates = tc(8);  // SADE
  table.format.svpbmt = capabilities_.svpbmt();
  table.root = fsc.address();
  table.big_endian = big_endian_first_stage();
  return table;
}

std::string ProcessContext::misconfigured(Capabilities const& capabilities, bool narrow) const {
  if ((words_[0] & (bit_span(11, 3) | bit_span(63, 32))) != 0) return "reserved bits of ta are set";
  return misconfigured_first_stage(fsc(), capabilities, narrow);
}

}  // namespace swiommu::riscv
