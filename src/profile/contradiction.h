// Collects what does not fit in a profile: the first finding counts.
#pragma once
#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profile/register_field.h"
#include "swiommu/profile/profile.h"

namespace swiommu {

class Contradictions {
 public:
  explicit Contradictions(Profile const& profile) : profile_(profile) {}

  void require(bool holds, std::vector<std::string> keys, std::string about) {
    if (!holds && !first_) first_ = Contradiction{std::move(keys), std::move(about)};
  }

  // If `claimed`, bits of a register must be set: "ecap lacks NEST (bit 26), which nested domains need".
  void require_bits(bool claimed, char const* register_name, RegisterField field, char const* manual_name, std::string const& key,
                    std::string_view who, std::uint64_t bits = 1) {
    if (!claimed || (field.of(profile_.register_value(register_name)) & bits) == bits) return;
    std::string const place = field.high == field.low ? fmt::format("bit {}", field.low)
                                                      : fmt::format("{:#x} in bits {}:{}", bits, field.high, field.low);
    require(false, {fmt::format("registers.{}", register_name), key},
            fmt::format("{} lacks {} ({}), which {} need", register_name, manual_name, place, who));
  }

  [[nodiscard]] std::uint64_t field(char const* register_name, RegisterField field) const {
    return field.of(profile_.register_value(register_name));
  }

  std::optional<Contradiction> take() { return std::move(first_); }

 private:
  Profile const& profile_;
  std::optional<Contradiction> first_;
};

// "paging.usual.levels"
inline std::string key_of(PagingUse use, std::string_view field) { return fmt::format("paging.{}.{}", name(use), field); }

// Calls `body(PagingUse, PagingKind const&)` for each kind that there is.
template <class Body>
void for_each_kind(Profile const& profile, Body const& body) {
  for (std::size_t n = 0; n < paging_uses; n++)
    if (profile.paging[n]) body(static_cast<PagingUse>(n), *profile.paging[n]);
}

// What the registers of each kind of hardware say against the rest; the kinds of paging domains are sound.
void check_vtd(Profile const& profile, Contradictions& found);
void check_smmuv3(Profile const& profile, Contradictions& found);
void check_amd(Profile const& profile, Contradictions& found);

}  // namespace swiommu
