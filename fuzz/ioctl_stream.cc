// Streams of ioctls, reads and writes on /dev/iommu with the mock IOMMU of the kernel's selftests: whatever is called in whatever
// order, errors have words, and when all descriptors are closed nothing is left pinned, charged or allocated.
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "fake_caller.h"
#include "fuzz_input.h"
#include "ioctl_grammar.h"
#include "swiommu/profile/load_profile.h"

using namespace swiommu;
using namespace swiommu::iommufd;
using namespace swiommu::fuzzing;

namespace {

// Pages that a stream may map, and where its structures lie. The second half is not there.
class Arena {
 public:
  static constexpr std::uint64_t size = 64 << 10;

  Arena() {
    void* const data = ::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(data != MAP_FAILED && ::munmap(static_cast<std::byte*>(data) + size, size) == 0);
    data_ = static_cast<std::byte*>(data);
    file_ = ::memfd_create("fuzzed", MFD_CLOEXEC);
    require(file_ >= 0 && ::ftruncate(file_, size) == 0);
  }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(data_); }
  [[nodiscard]] int file() const { return file_; }
  [[nodiscard]] bool holds(std::uint64_t at, std::size_t length) const {
    return at >= address() && at - address() <= size && length <= size - (at - address());
  }

 private:
  std::byte* data_;
  int file_;
};

class ArenaCaller final : public FakeCaller {
 public:
  ArenaCaller(Engine& engine, Arena const& arena) : FakeCaller(engine), arena_(arena) {}
  // Without system calls, which would be most of the time.
  bool copy_in(std::uint64_t from, std::span<std::byte> to) override {
    if (!arena_.holds(from, to.size())) return false;
    std::memcpy(to.data(), std::bit_cast<void*>(from), to.size());
    return true;
  }
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override {
    if (!arena_.holds(to, from.size())) return false;
    std::memcpy(std::bit_cast<void*>(to), from.data(), from.size());
    return true;
  }

 private:
  Arena const& arena_;
};

class Stream {
 public:
  Stream(Engine& engine, Arena& arena, FuzzInput& input) : arena_(arena), input_(input), caller_(engine, arena) {
    auto opened = input.flag() ? engine.open() : engine.open_container();
    require(opened.has_value());
    auto installed = caller_.install(std::move(*opened));
    require(installed.has_value());
    file_ = *installed;
    if (input.flag()) caller_.capabilities = {};
    if (input.flag()) caller_.capabilities.insert(Capability::sys_resource);
  }

  void step() {
    unsigned const what = input_.below(32);
    auto const& files = caller_.files();
    int const any = file_ + static_cast<int>(what < 4 ? input_.below(8) : 0);
    auto const at = files.find(any);
    if (at == files.end()) return;
    std::shared_ptr<OpenFile> const file = at->second;
    if (what == 0) return check(file->read(caller_, value(address), value(length4)));
    if (what == 1) return check(file->write(caller_, value(address), value(length4)));
    if (what == 2) {
      auto mapped = file->map(value(length), value(length), PROT_READ | PROT_WRITE, MAP_SHARED);
      if (mapped) mapped_ = std::move(*mapped);
      return;
    }
    if (what == 3) return void(any != file_ && caller_.files().erase(any));
    call(*file);
  }

 private:
  template <class Outcome>
  static void check(Outcome const& outcome) {
    if (!outcome) require(outcome.error().code > 0);
  }

  void call(OpenFile& file) {
    Shape const& shape = shapes[input_.below(std::size(shapes))];
    std::byte bytes[160]{};
    unsigned at = 4;
    for (Kind const kind : shape.fields) {
      if (at + size_of(kind) > sizeof bytes) break;
      std::uint64_t const field = value(kind);
      std::memcpy(bytes + at, &field, size_of(kind));
      at += size_of(kind);
    }
    std::uint32_t size = shape.size;
    if (input_.below(32) == 0) size = input_.below(160);
    std::memset(bytes + std::min(at, size), 0, sizeof bytes - std::min(at, size));
    std::memcpy(bytes, &size, sizeof size);
    std::uint64_t argument = arena_.address() + Arena::size - sizeof bytes;
    if (shape.request == VFIO_CHECK_EXTENSION || shape.request == VFIO_SET_IOMMU)
      argument = input_.below(16);
    else if (input_.below(64) == 0)
      argument = value(address);
    else
      std::memcpy(std::bit_cast<void*>(argument), bytes, sizeof bytes);
    std::uint32_t request = shape.request;
    if (input_.below(64) == 0) request ^= 1U << input_.below(32);
    check(file.ioctl(caller_, request, argument));
  }

  std::uint64_t value(Kind kind) {
    unsigned const form = input_.below(24);
    if (form == 23) return input_.number();
    if (form == 22) return ~std::uint64_t{0} - input_.below(2);
    switch (kind) {
      case zero: return form < 21 ? 0 : form;
      case small: return input_.below(26);
      case flags: return form < 8 ? form : form < 16 ? 7 : 0;
      case id: return input_.below(form < 16 ? 6 : 16);
      case type: {
        constexpr std::uint32_t types[] = {0, 1, 2, 3, 0xdead, 0xdeadbeef, 0xbeefbeef, 0xfeedbeef};
        return types[input_.below(std::size(types))];
      }
      case descriptor: return form < 8 ? static_cast<std::uint64_t>(arena_.file()) : static_cast<std::uint64_t>(file_) + form - 8;
      case length4: return form < 8 ? 8 * form : form < 16 ? 40 : 1 << form;
      case halves: return input_.below(4);
      case iova: return form < 16 ? (std::uint64_t{1} << 24) + 2048 * input_.below(64) : std::uint64_t{1} << (form + 16);
      case length: return form < 12 ? std::uint64_t{4096} * (1 + input_.below(8)) : form < 20 ? 2048 * (form - 11) : 1 << form;
      case address:
        return arena_.address() + (form < 12 ? std::uint64_t{4096} * input_.below(34) : 8 * input_.take<std::uint16_t>());
      case number: return form < 16 ? input_.below(4) : std::uint64_t{1} << (2 * form);
    }
    return 0;
  }

  Arena& arena_;
  FuzzInput& input_;
  ArenaCaller caller_;
  int file_ = -1;
  std::shared_ptr<MappableMemory> mapped_;
};

struct World {
  Arena arena;
  std::shared_ptr<Engine> engine;

  World() {
    auto made = Engine::create(load_profile("kernel-selftest").value());
    require(made.has_value());
    engine = std::move(*made);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static World world;
  FuzzInput input(data, size);
  auto const process = world.engine->processes().find(1000, 500);
  require(process.has_value());
  {
    Stream stream(*world.engine, world.arena, input);
    while (!input.rest().empty()) stream.step();
  }
  require((*process)->pinned_pages == 0 && (*process)->locked_pages == 0 && (*process)->user->locked_pages == 0);
  require(world.engine->host().tables->tables_in_use() == 0);
  return 0;
}
