// What a user has said of a model, one word after the other, and the model that comes of it.
#pragma once
#include <bit>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "swiommu/base/result.h"
#include "swiommu/vfio/pci_bus.h"

namespace swiommu::vfio {

// "serial=7", "read-only".
struct Setting {
  std::string_view name, value;
  bool has_value = false;
};

// A number, with K, M, G or T behind it if it may be large.
template <class T>
Result<T> number(Setting const& setting, T least, T most) {
  std::string_view digits = setting.value;
  unsigned shift = 0;
  if (constexpr std::string_view units = "KMGT"; !digits.empty() && units.find(digits.back()) != std::string_view::npos) {
    shift = 10 * (static_cast<unsigned>(units.find(digits.back())) + 1);
    digits.remove_suffix(1);
  }
  std::uint64_t value = 0;
  auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  bool const whole = error == std::errc{} && end == digits.data() + digits.size();
  if (!whole || value > ~std::uint64_t{0} >> shift || value << shift < least || value << shift > most)
    return fail(EINVAL, fmt::format("{}={}: not a number from {} to {}", setting.name, setting.value, least, most));
  return static_cast<T>(value << shift);
}

template <class T>
Result<> take(T& to, Setting const& setting, T least, T most) {
  auto const value = number<T>(setting, least, most);
  if (!value) return std::unexpected(value.error());
  to = *value;
  return {};
}

class ModelSettings {
 public:
  ModelSettings() = default;
  ModelSettings(ModelSettings const&) = delete;
  ModelSettings& operator=(ModelSettings const&) = delete;
  virtual ~ModelSettings() = default;

  // One of the model's options (model_kinds()), with a value if it takes one. EINVAL: no such value.
  virtual Result<> set(Setting const& setting) = 0;
  [[nodiscard]] virtual Result<MakeModel> maker() const = 0;
};

// For a model of model_kinds(); what stood behind the colon, if anything does. May throw std::bad_alloc.
std::unique_ptr<ModelSettings> settings_of(std::string_view kind, std::string const& argument);

}  // namespace swiommu::vfio
