#include "vfio/devices/model_settings.h"

#include <fcntl.h>
#include <unistd.h>

#include "swiommu/base/descriptor.h"
#include "swiommu/vfio/ioat.h"
#include "swiommu/vfio/nvme.h"

namespace swiommu::vfio {
namespace {

Result<> make_image(std::string const& path, std::uint64_t bytes) {
  Descriptor const file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) return errno == EEXIST ? Result<>() : fail(errno, path);
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0) return {};
  int const code = errno;
  ::unlink(path.c_str());
  return fail(code, path);
}

// The settings of an NVMe controller, one after the other.
class NvmeSettings final : public ModelSettings {
 public:
  explicit NvmeSettings(std::string_view image) { add(image); }

  Result<> set(Setting const& setting) override {
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
      if (block_size_ != 512 && block_size_ != 4096)
        return fail(EINVAL, fmt::format("block-size={}: blocks have 512 or 4096 bytes", setting.value));
      if (options_.namespaces.size() == 1) options_.namespaces.front().block_size = block_size_;
      return {};
    }
    if (setting.name == "serial") return text(options_.serial, setting);
    if (setting.name == "model") return text(options_.model, setting);
    if (setting.name == "record") return text(options_.record, setting);
    if (setting.name == "queues") return take<unsigned>(options_.io_queues, setting, 1, 1023);
    if (setting.name == "threads") return take<unsigned>(options_.io_threads, setting, 1, 64);
    if (setting.name == "mdts") return take<unsigned>(options_.mdts, setting, 1, 11);
    return take<std::uint64_t>(size_, setting, 1 << 20, std::uint64_t{1} << 50);
  }

  [[nodiscard]] Result<MakeModel> maker() const override {
    for (auto const& space : options_.namespaces)
      if (size_ % space.block_size != 0)
        return fail(EINVAL, fmt::format("size={}: no multiple of blocks of {} bytes", size_, space.block_size));
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
    options_.namespaces.push_back({.path = std::string(image), .block_size = block_size_, .read_only = read_only_});
  }

  NvmeOptions options_;
  std::uint32_t block_size_ = 512;
  bool read_only_ = false;
  std::uint64_t size_ = 0;
};

class IoatSettings final : public ModelSettings {
 public:
  Result<> set(Setting const& setting) override {
    if (setting.name == "polled") {
      options_.polled = true;
      return {};
    }
    if (setting.name == "channels") return take<unsigned>(options_.channels, setting, 1, 31);
    std::uint64_t bytes = 0;
    SWIOMMU_TRY(take<std::uint64_t>(bytes, setting, 4096, std::uint64_t{1} << 31));
    if (!std::has_single_bit(bytes)) return fail(EINVAL, fmt::format("{}={}: no power of two", setting.name, setting.value));
    options_.largest_transfer_lg2 = static_cast<unsigned>(std::countr_zero(bytes));
    return {};
  }
  [[nodiscard]] Result<MakeModel> maker() const override {
    return [options = options_](Slot& slot) { return make_ioat(slot, options); };
  }

 private:
  IoatOptions options_;
};

}  // namespace

std::unique_ptr<ModelSettings> settings_of(std::string_view kind, std::string const& argument) {
  if (kind == "nvme") return std::make_unique<NvmeSettings>(argument);
  return std::make_unique<IoatSettings>();
}

}  // namespace swiommu::vfio
