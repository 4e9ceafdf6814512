#include "swiommu/vfio/model_specification.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <memory>

#include "swiommu/base/descriptor.h"
#include "swiommu/vfio/ioat.h"
#include "swiommu/vfio/nvme.h"

namespace swiommu::vfio {
namespace {

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

std::string absolute(std::string_view path) {
  std::unique_ptr<char, decltype(&std::free)> const folder(path.starts_with('/') ? nullptr : ::getcwd(nullptr, 0), &std::free);
  return folder == nullptr ? std::string(path) : fmt::format("{}/{}", folder.get(), path);
}

Result<> make_image(std::string const& path, std::uint64_t bytes) {
  Descriptor const file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) return errno == EEXIST ? Result<>() : fail(errno, path);
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0) return {};
  int const code = errno;
  ::unlink(path.c_str());
  return fail(code, path);
}

// Of a path that is to be part of a specification.
Result<> check_path(std::string const& path) {
  if (path.find_first_of(",\n") == std::string::npos) return {};
  return fail(EINVAL, fmt::format("{}: a path with a comma or a line break cannot be named here", path));
}

// The settings of an NVMe controller, one after the other.
class NvmeSettings {
 public:
  explicit NvmeSettings(std::string_view image) { add(image); }

  Result<> set(Setting const& setting) {
    if (setting.name == "namespace") {
      add(setting.value);
      return {};
    }
    if (setting.name == "read-only") {
      read_only_ = true;
      if (options_.namespaces.size() == 1) options_.namespaces.front().read_only = true;
      return {};
    }
    if (setting.name == "block-size") {
      SWIOMMU_TRY(take<std::uint32_t>(block_size_, setting, 512, 4096));
      if (options_.namespaces.size() == 1) options_.namespaces.front().block_size = block_size_;
      return {};
    }
    if (setting.name == "serial") return text(options_.serial, setting);
    if (setting.name == "model") return text(options_.model, setting);
    if (setting.name == "queues") return take<unsigned>(options_.io_queues, setting, 1, 1023);
    if (setting.name == "threads") return take<unsigned>(options_.io_threads, setting, 1, 64);
    if (setting.name == "mdts") return take<unsigned>(options_.mdts, setting, 1, 11);
    return take<std::uint64_t>(size_, setting, 1 << 20, std::uint64_t{1} << 50);
  }

  [[nodiscard]] MakeModel maker() const {
    return [options = options_, size = size_](Slot& slot) -> Result<std::unique_ptr<DeviceModel>> {
      if (size != 0)
        for (auto const& space : options.namespaces) SWIOMMU_TRY(make_image(space.path, size));
      return make_nvme(slot, options);
    };
  }

 private:
  static Result<> text(std::string& to, Setting const& setting) {
    to = setting.value;
    return {};
  }
  void add(std::string_view image) {
    options_.namespaces.push_back({.path = absolute(image), .block_size = block_size_, .read_only = read_only_});
  }

  NvmeOptions options_;
  std::uint32_t block_size_ = 512;
  bool read_only_ = false;
  std::uint64_t size_ = 0;
};

class IoatSettings {
 public:
  Result<> set(Setting const& setting) {
    if (setting.name == "channels") return take<unsigned>(options_.channels, setting, 1, 31);
    std::uint64_t bytes = 0;
    SWIOMMU_TRY(take<std::uint64_t>(bytes, setting, 4096, std::uint64_t{1} << 31));
    if (!std::has_single_bit(bytes)) return fail(EINVAL, fmt::format("{}={}: no power of two", setting.name, setting.value));
    options_.largest_transfer_lg2 = static_cast<unsigned>(std::countr_zero(bytes));
    return {};
  }
  [[nodiscard]] MakeModel maker() const {
    return [options = options_](Slot& slot) { return make_ioat(slot, options); };
  }

 private:
  IoatOptions options_;
};

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

// Calls back for each setting that is sound, saying whether it is one that all models have.
Result<> for_each_setting(ModelKind const& kind, std::string_view rest,
                          std::function<Result<>(Setting const&, bool)> const& visit) {
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
    SWIOMMU_TRY(visit(setting, own == nullptr));
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
    bool const is_nvme = kind->name == "nvme";
    NvmeSettings nvme(argument);
    IoatSettings ioat;
    made.text = has_argument ? fmt::format("{}:{}", kind->name, absolute(argument)) : std::string(kind->name);
    SWIOMMU_TRY(check_path(made.text));
    SWIOMMU_TRY(for_each_setting(*kind, rest, [&](Setting const& setting, bool place) -> Result<> {
      std::string const value = setting.name == "namespace" ? absolute(setting.value) : std::string(setting.value);
      if (auto const sound = check_path(value); !sound) return sound;
      made.text += fmt::format(",{}{}{}", setting.name, setting.has_value ? "=" : "", value);
      if (place) return set_place(made.place, setting);
      return is_nvme ? nvme.set(setting) : ioat.set(setting);
    }));
    made.make = is_nvme ? nvme.maker() : ioat.maker();
    return made;
  });
}

}  // namespace swiommu::vfio
