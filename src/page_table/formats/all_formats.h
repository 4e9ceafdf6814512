// The formats of the library, by name. A new format is one file in this folder and one line here.
#pragma once
#include <optional>
#include <string>

#include "page_table/formats/amd_v1.h"
#include "page_table/formats/arm_lpae.h"
#include "page_table/formats/riscv.h"
#include "page_table/formats/s390_zpci.h"
#include "page_table/formats/vtd_second_stage.h"
#include "page_table/formats/x86_64.h"

namespace swiommu {

template <FormatName Name, class F>
struct NamedFormat {};

constexpr FormatConfiguration without_offer(FormatConfiguration c) {
  c.page_sizes = 0;
  return c;
}
// Of those that are wanted.
template <PageTableFormat F>
std::uint64_t sizes_that_it_has_not(FormatConfiguration const& c) {
  return c.page_sizes == 0 ? 0 : c.page_sizes & ~page_sizes(F(without_offer(c)));
}
inline std::string no_such_size(std::uint64_t sizes) {
  return "the format has no pages of 2^" + std::to_string(alignment_lg2(sizes)) + " bytes";
}

// Calls `use(F const&)` with the format that the configuration names and describes. EINVAL if it describes none.
template <class R, class Use, FormatName... Names, class... Fs>
Result<R> with_format_of(FormatConfiguration const& configuration, Use const& use, NamedFormat<Names, Fs>...) {
  std::optional<Result<R>> result;
  auto const attempt = [&]<FormatName Name, class F>(NamedFormat<Name, F>) {
    if (configuration.format != Name) return;
    if (auto checked = F::check(configuration); !checked)
      result = std::unexpected(std::move(checked).error());
    else if (auto const others = sizes_that_it_has_not<F>(configuration); others != 0)
      result = fail(EINVAL, no_such_size(others));
    else
      result = use(F(configuration));
  };
  (attempt(NamedFormat<Names, Fs>{}), ...);
  if (!result) return fail(EINVAL, "no such page-table format");
  return *std::move(result);
}

template <class R, class Use>
Result<R> with_format(FormatConfiguration const& configuration, Use const& use) {
  return with_format_of<R>(configuration, use,  //
                           NamedFormat<FormatName::vtd_second_stage, VtdSecondStage>{},
                           NamedFormat<FormatName::x86_64, X86_64>{},         //
                           NamedFormat<FormatName::amd_v1, AmdV1>{},          //
                           NamedFormat<FormatName::arm_stage1, ArmStage1>{},  //
                           NamedFormat<FormatName::arm_stage2, ArmStage2>{},  //
                           NamedFormat<FormatName::riscv, Riscv>{},           //
                           NamedFormat<FormatName::riscv_x4, RiscvX4>{},      //
                           NamedFormat<FormatName::s390_zpci, S390Zpci>{});
}

}  // namespace swiommu
