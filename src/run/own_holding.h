// A file whose owner is this process: every call is a function call.
#pragma once
#include <memory>

#include "run/holding.h"
#include "run/own_file.h"

namespace swiommu::run {

class Owner;

class OwnHolding final : public Holding {
 public:
  OwnHolding(Owner& owner, std::shared_ptr<OwnFile> file)
      : Holding(file->name().owner, file->name().id), owner_(owner), file_(std::move(file)) {}
  // Releases the file if no process has a descriptor any more; has done so when it returns.
  ~OwnHolding() override;

  long ioctl(int descriptor, std::uint32_t request, std::uint64_t argument) override;
  long read(int descriptor, void* to, std::size_t length, std::optional<std::uint64_t> offset) override;
  long write(int descriptor, void const* from, std::size_t length, std::optional<std::uint64_t> offset) override;
  long map(int descriptor, void* at, std::size_t length, int protection, int flags, std::uint64_t offset) override;
  [[nodiscard]] char const* name() const override { return file_->file().name(); }
  PinCounts counts(int descriptor, pid_t pid) override;

  [[nodiscard]] std::shared_ptr<OwnFile> const& file() const { return file_; }

 private:
  long map_acting(std::shared_ptr<iommufd::MappableMemory> memory, void* at, std::size_t length, int protection, int flags,
                  std::uint64_t offset);

  Owner& owner_;
  std::shared_ptr<OwnFile> file_;
};

}  // namespace swiommu::run
