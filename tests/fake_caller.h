// Whoever makes system calls, for tests: our own process, with descriptors, rights and limits as the test likes.
#pragma once
#include <unistd.h>

#include <bit>
#include <map>
#include <set>
#include <stdexcept>

#include "swiommu/iommufd/caller.h"
#include "swiommu/iommufd/engine.h"
#include "swiommu/memory/file_memory.h"
#include "swiommu/memory/safe_copy.h"

namespace swiommu::iommufd {

class FakeCaller : public Caller {
 public:
  explicit FakeCaller(Engine& engine, std::int32_t pid = 1000, std::uint32_t uid = 500)
      : engine_(engine), process_(engine.processes().find(pid, uid).value()) {}

  // What a test changes.
  std::set<Capability> capabilities{Capability::ipc_lock};
  std::size_t most_descriptors = 100;
  bool memory_is_unreadable = false;  // copies from the caller fail
  bool memory_is_unwritable = false;  // copies to the caller fail
  [[nodiscard]] std::map<int, std::shared_ptr<OpenFile>>& files() { return files_; }

  bool copy_in(std::uint64_t from, std::span<std::byte> to) override {
    return !memory_is_unreadable && copy_from_doubtful(std::bit_cast<void*>(from), to);
  }
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override {
    return !memory_is_unwritable && copy_to_doubtful(std::bit_cast<void*>(to), from);
  }

  Result<int> install(std::shared_ptr<OpenFile> file) override {
    return guarded([&]() -> Result<int> {
      if (files_.size() >= most_descriptors) return fail(EMFILE, "no descriptors left");
      int descriptor = first_descriptor;
      while (files_.contains(descriptor)) descriptor++;
      files_.emplace(descriptor, std::move(file));
      return descriptor;
    });
  }
  void uninstall(int descriptor) noexcept override { files_.erase(descriptor); }
  std::shared_ptr<OpenFile> open_file(int descriptor) override {
    auto const at = files_.find(descriptor);
    return at == files_.end() ? nullptr : at->second;
  }
  Result<Descriptor> borrow(int descriptor) override {
    int const copy = ::dup(descriptor);
    if (copy < 0) return fail(EBADF, "no such descriptor");
    return Descriptor(copy);
  }

  Result<std::unique_ptr<Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) override {
    return UserMemory::create(engine_.addresses(), std::bit_cast<void*>(address), length, writable);
  }
  Result<std::unique_ptr<Backing>> file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                               bool writable) override {
    return FileMemory::create(engine_.addresses(), descriptor, offset, length, writable);
  }

  std::shared_ptr<Process> process() override { return process_; }
  bool has(Capability capability) override { return capabilities.contains(capability); }

 private:
  static constexpr int first_descriptor = 1000;  // no descriptor of the test itself is that large

  Engine& engine_;
  std::shared_ptr<Process> const process_;
  std::map<int, std::shared_ptr<OpenFile>> files_;
};

}  // namespace swiommu::iommufd
