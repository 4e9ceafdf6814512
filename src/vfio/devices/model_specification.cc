#include "swiommu/vfio/model_specification.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "swiommu/base/function_ref.h"
#include "vfio/devices/model_settings.h"

namespace swiommu::vfio {
namespace {

std::string absolute(std::string_view path) {
  std::unique_ptr<char, decltype(&std::free)> const folder(path.starts_with('/') ? nullptr : ::getcwd(nullptr, 0), &std::free);
  return folder == nullptr ? std::string(path) : fmt::format("{}/{}", folder.get(), path);
}

// Of a path that is to be part of a specification.
Result<> check_path(std::string const& path) {
  if (path.find_first_of(",\n") == std::string::npos) return {};
  return fail(EINVAL, fmt::format("{}: a path with a comma or a line break cannot be named here", path));
}

Result<> set_place(PciBus::Place& place, Setting const& setting) {
  if (setting.name == "pasid-bits") return take<unsigned>(place.pasid_bits, setting, 0, 20);
  place.address = PciAddress::parse(setting.value);
  if (place.address) return {};
  return fail(EINVAL, fmt::format("address={}: an address is like 0000:01:00.0", setting.value));
}

ModelOption const* find(std::span<ModelOption const> options, std::string_view name) {
  auto const at = std::ranges::find(options, name, &ModelOption::name);
  return at == options.end() ? nullptr : &*at;
}

std::string names_of(ModelKind const& kind) {
  std::string names;
  for (auto const options : {kind.options, place_options()})
    for (ModelOption const& option : options) names += fmt::format("{}{}", names.empty() ? "" : ", ", option.name);
  return names;
}

Result<> check(ModelOption const& option, Setting const& setting) {
  if (option.value.empty() && setting.has_value) return fail(EINVAL, fmt::format("{} has no value", setting.name));
  if (!option.value.empty() && setting.value.empty())
    return fail(EINVAL, fmt::format("{} needs a value: {}={}", setting.name, option.name, option.value));
  return {};
}

// Calls back for each setting that is sound, with its option, which is the kind's own or one of all.
Result<> for_each_setting(ModelKind const& kind, std::string_view rest,
                          FunctionRef<Result<>(Setting, ModelOption const&, bool of_all)> visit) {
  while (!rest.empty()) {
    std::string_view const word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    auto const equals = word.find('=');
    Setting const setting{word.substr(0, equals), equals == std::string_view::npos ? "" : word.substr(equals + 1),
                          equals != std::string_view::npos};
    ModelOption const* const own = find(kind.options, setting.name);
    ModelOption const* const option = own != nullptr ? own : find(place_options(), setting.name);
    if (option == nullptr)
      return fail(EINVAL, fmt::format("{} has no option '{}'; there are {}", kind.name, setting.name, names_of(kind)));
    SWIOMMU_TRY(check(*option, setting));
    SWIOMMU_TRY(visit(setting, *option, own == nullptr));
  }
  return {};
}

std::string names_of_kinds() {
  std::string names;
  for (ModelKind const& kind : model_kinds()) names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
  return names;
}

}  // namespace

Result<ModelSpecification> parse_model(std::string_view text) {
  return guarded([&]() -> Result<ModelSpecification> {
    std::string_view const name = text.substr(0, text.find_first_of(":,"));
    auto const kind = std::ranges::find(model_kinds(), name, &ModelKind::name);
    if (kind == model_kinds().end())
      return fail(EINVAL, fmt::format("there is no device '{}'; there are {}", name, names_of_kinds()));
    std::string_view rest = text.substr(name.size());
    bool const has_argument = rest.starts_with(':');
    rest.remove_prefix(std::min<std::size_t>(rest.size(), 1));
    std::string_view const argument = has_argument ? rest.substr(0, rest.find(',')) : "";
    if (has_argument) rest.remove_prefix(std::min(rest.size(), argument.size() + 1));
    if (kind->argument.empty() && has_argument)
      return fail(EINVAL, fmt::format("{} has options only: {},NAME=VALUE", kind->name, kind->name));
    if (!kind->argument.empty() && argument.empty())
      return fail(EINVAL, fmt::format("{} needs more: {}:{}", kind->name, kind->name, kind->argument));
    if (text.find('\n') != std::string_view::npos) return fail(EINVAL, "a device's name has no line breaks");

    ModelSpecification made;
    std::string const image = absolute(argument);
    made.text = has_argument ? fmt::format("{}:{}", kind->name, image) : std::string(kind->name);
    SWIOMMU_TRY(check_path(made.text));
    auto const settings = settings_of(kind->name, image);
    SWIOMMU_TRY(for_each_setting(*kind, rest, [&](Setting setting, ModelOption const& option, bool of_all) -> Result<> {
      bool const is_path = option.value == "IMAGE" || option.value == "FILE";
      std::string const value = is_path ? absolute(setting.value) : std::string(setting.value);
      if (auto const sound = check_path(value); !sound) return sound;
      setting.value = value;
      made.text += fmt::format(",{}{}{}", setting.name, setting.has_value ? "=" : "", value);
      return of_all ? set_place(made.place, setting) : settings->set(setting);
    }));
    auto maker = settings->maker();
    if (!maker) return std::unexpected(std::move(maker).error());
    made.make = std::move(*maker);
    return made;
  });
}

}  // namespace swiommu::vfio
