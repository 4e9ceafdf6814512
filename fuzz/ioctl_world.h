// What a stream of ioctls happens in: an engine of some hardware, devices behind it, and a caller with a little memory.
#pragma once
#include <sys/mman.h>
#include <unistd.h>
#include <array>

#include <bit>
#include <cstring>
#include <memory>

#include "fake_caller.h"
#include "fuzz_input.h"
#include "iommufd/driver.h"
#include "swiommu/iommufd/make_driver.h"
#include "swiommu/profile/load_profile.h"

namespace swiommu::fuzzing {

// Memory that a stream may map, and where its structures lie; as much that is not there follows. And a file.
class Arena {
 public:
  static constexpr std::uint64_t page = 4096, pages = 16, size = pages * page;

  Arena() {
    void* const data = ::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(data != MAP_FAILED && ::mprotect(static_cast<std::byte*>(data) + size, size, PROT_NONE) == 0);
    data_ = static_cast<std::byte*>(data);
    file_ = ::memfd_create("fuzzed", MFD_CLOEXEC);
    require(file_ >= 0 && ::ftruncate(file_, size) == 0);
  }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t address() const { return std::bit_cast<std::uint64_t>(data_); }
  [[nodiscard]] int file() const { return file_; }
  [[nodiscard]] bool holds(std::uint64_t at, std::size_t length) const {
    return at >= address() && at - address() <= size && length <= size - (at - address());
  }
  // Behind it there is nothing to be had.
  [[nodiscard]] std::uint64_t nowhere() const { return address() + size; }
  void clear() { std::memset(data_, 0, size); }

  // The last page: structures of calls, and the data beside them.
  [[nodiscard]] std::byte* structure() const { return data_ + size - page; }
  [[nodiscard]] std::byte* structure_data() const { return structure() + 256; }

 private:
  std::byte* data_ = nullptr;
  int file_ = -1;
};

// The caller's memory, of which it is known without looking that it lies in pages of 4 KiB: looking is slow under a sanitizer.
class ArenaMemory final : public Backing {
 public:
  ArenaMemory(HostAddressSpace& space, std::unique_ptr<UserMemory> memory)
      : Backing(space, memory->host_address(0), memory->length(), memory->writable()), memory_(std::move(memory)) {}
  [[nodiscard]] bool in_place() const override { return true; }
  [[nodiscard]] Row row(std::uint64_t offset) const override { return memory_->row(offset); }
  Result<> fault_in(std::uint64_t first, std::uint64_t last) const override { return memory_->fault_in(first, last); }
  void released(std::uint64_t first, std::uint64_t last) const noexcept override { memory_->released(first, last); }
  Result<> hold() const override { return memory_->hold(); }
  void let_go() const noexcept override { memory_->let_go(); }
  [[nodiscard]] MovablePages* movable() const override { return memory_->movable(); }

 private:
  std::unique_ptr<UserMemory> const memory_;
};

class ArenaCaller final : public iommufd::FakeCaller {
 public:
  ArenaCaller(iommufd::Engine& engine, Arena const& arena, std::int32_t pid, std::uint32_t uid)
      : FakeCaller(engine, pid, uid), engine_(engine), arena_(arena) {}
  // Without system calls, which would be most of the time.
  bool copy_in(std::uint64_t from, std::span<std::byte> to) override {
    if (!arena_.holds(from, to.size())) return false;
    if (!to.empty()) std::memcpy(to.data(), std::bit_cast<void*>(from), to.size());
    return true;
  }
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override {
    if (!arena_.holds(to, from.size())) return false;
    if (!from.empty()) std::memcpy(std::bit_cast<void*>(to), from.data(), from.size());
    return true;
  }
  // An address that is made up may be anything of this process, the sanitizer's own memory too: it stands for nothing.
  Result<std::unique_ptr<Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) override {
    if (address - arena_.address() >= Arena::size) address = arena_.nowhere();
    auto memory = UserMemory::create(engine_.addresses(), std::bit_cast<void*>(address), length, writable);
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::make_unique<ArenaMemory>(engine_.addresses(), std::move(*memory));
  }

 private:
  iommufd::Engine& engine_;
  Arena const& arena_;
};

struct World {
  explicit World(char const* name)
      : profile(load_profile(name).value()),
        engine(iommufd::Engine::create(profile).value()),
        driver(engine->mock_driver() ? nullptr : iommufd::make_driver(profile).value()),
        first_iova(profile.hardware == Hardware::s390_zpci ? profile.register_value("sdma") : std::uint64_t{1} << 24) {}

  Profile const profile;
  std::shared_ptr<iommufd::Engine> const engine;
  std::shared_ptr<iommufd::Driver> const driver;  // the selftests' is the engine's own
  std::uint64_t const first_iova;                 // from here on devices reserve nothing
  Arena arena;
};

// Of each hardware one; the selftests' twice: they have more ioctls. All are made at the same time, so that a number that a
// stream takes for a descriptor means the same whatever ran before.
inline constexpr unsigned worlds = 7;
inline World& world(unsigned n) {
  static std::array<World, worlds> made{World("kernel-selftest"), World("intel-vtd"), World("arm-smmuv3"),     World("amd"),
                                        World("riscv"),           World("s390-zpci"), World("kernel-selftest")};
  return made[n];
}

}  // namespace swiommu::fuzzing
