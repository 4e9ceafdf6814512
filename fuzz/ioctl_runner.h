// Runs a fuzzer's bytes as a stream of ioctls, reads and writes on /dev/iommu, with devices doing DMA between them: whatever is
// called in whatever order, errors have words, devices are answered, and when all descriptors are closed nothing is left pinned,
// charged, attached or allocated.
#pragma once
#include "ioctl_devices.h"

namespace swiommu::fuzzing {

class IoctlStream {
 public:
  IoctlStream(World& world, FuzzInput& input, OutcomeCounts& counts)
      : world_(world),
        input_(input),
        counts_(counts),
        // Of its own process some checks of the selftests know the memory; that is slow.
        caller_(*world.engine, world.arena, input.below(64) == 63 ? ::getpid() : 1000, 500),
        other_caller_(*world.engine, world.arena, 1001, 501),
        values_(world),
        devices_(world, values_, counts) {
    world.arena.clear();
    if (input.below(8) == 7) {
      caller_.capabilities = {};
      if (input.flag()) caller_.capabilities.insert(iommufd::Capability::sys_resource);
      caller_.process()->memlock_limit_pages = input.below(64);
    }
    open();
    constexpr std::uint8_t how_far[] = {0, 1, 1, 2, 2, 3, 3, 4};
    set_up(how_far[input.below(std::size(how_far))]);
  }

  void run() {
    for (unsigned n = 0; n < most_steps && !input_.rest().empty(); n++) step();
  }

  // What there is goes, in whatever order.
  void end() {
    auto const processes = {caller_.process(), other_caller_.process()};
    if (input_.flag()) regions_.clear();
    caller_.files().clear();
    regions_.clear();
    devices_.end();
    for (auto const& process : processes)
      require(process->pinned_pages == 0 && process->locked_pages == 0 && process->user->locked_pages == 0);
    require(world_.engine->host().tables->tables_in_use() == 0);
  }

 private:
  static constexpr unsigned most_steps = 300;
  static constexpr std::size_t longest_structure = 160;
  static constexpr unsigned data_entries = 4;  // of an array behind data_uptr

  // The first calls of most programs; without them a stream rarely gets far.
  void set_up(unsigned how_far) {
    auto const& files = caller_.files();
    if (how_far == 0 || files.empty()) return;
    std::shared_ptr<iommufd::OpenFile> const file = files.begin()->second;
    bool const type1 = input_.below(4) == 3, with_pasids = input_.flag();
    bool const mocks = world_.driver == nullptr;
    // `first`: instead of 0 for the first field
    auto const sensible = [&](std::string_view name, std::uint8_t first = 0) {
      FuzzInput input(&first, 1);
      for (Shape const& shape : shapes::all)
        if (name == shape.name) call(*file, shape, input, caller_);
    };
    sensible("IOAS_ALLOC");
    sensible("IOAS_MAP");
    if (type1) sensible("VFIO_IOAS");
    if (how_far == 1) return;
    FuzzInput zeros(nullptr, 0);
    devices_.bind(zeros, file);
    if (mocks) sensible(with_pasids ? "mock_domain_flags" : "mock_domain");
    if (with_pasids) sensible("HWPT_ALLOC", Values::pasid_form);
    devices_.attach(0, false, last(Kind::attachable));
    if (mocks && with_pasids) sensible("mock_domain_replace");
    if (with_pasids) devices_.attach(0, false, last(Kind::attachable), 1);
    if (mocks && with_pasids) sensible("pasid_attach");
    if (how_far == 2) return;
    values_.tables().write();
    sensible("FAULT_QUEUE_ALLOC");
    if (mocks) sensible("create_access");
    sensible("HWPT_ALLOC");
    sensible(mocks ? "VIOMMU_ALLOC data" : "VIOMMU_ALLOC");
    sensible("VDEVICE_ALLOC");
    sensible("VEVENTQ_ALLOC");
    if (how_far == 3) return;
    sensible(world_.profile.viommus.empty() ? "HWPT_ALLOC nested" : "HWPT_ALLOC vIOMMU");
    if (mocks) sensible("mock_domain_replace");
    devices_.attach(0, true, last(Kind::attachable));
  }
  std::uint32_t last(Kind kind) {
    FuzzInput zeros(nullptr, 0);
    return static_cast<std::uint32_t>(values_.field(zeros, kind, nullptr));
  }

  void open() {
    auto opened = input_.below(4) == 3 ? world_.engine->open_container() : world_.engine->open();
    require(opened.has_value());
    auto const installed = caller_.install(std::move(*opened));
    if (installed) descriptors_.push_back(*installed);
  }

  void step() {
    unsigned const what = input_.below(48);
    auto& files = caller_.files();
    // mostly the file that was opened first
    auto const opened = input_.below(8) == 7 ? input_.below(static_cast<unsigned>(descriptors_.size())) : 0;
    Kind const kind = what < 2 ? Kind::file : Kind::fault_file;
    auto const at = files.find(what < 6 ? static_cast<int>(field(kind)) : descriptors_[opened]);
    if (at == files.end()) return what == 40 ? open() : void();
    std::shared_ptr<iommufd::OpenFile> const file = at->second;
    switch (what) {
      case 0:
      case 1: return read(*file);
      case 2: return write(*file);
      case 3:
      case 4: return respond(*file);
      case 5: return void(files.erase(at));
      case 40: return open();
      case 41: return values_.tables().write();
      case 42: return write_table_word();
      case 43: return map(*file);
      case 44: return devices_.bind(input_, file);
      case 45:
      case 46: return devices_.attach(input_);
      case 47: return devices_.ask_for_page(input_, *file);
      default: break;
    }
    if (what >= 34) return devices_.dma(input_, *file);
    Shape const& shape = shapes::all[input_.below(world_.driver ? shapes::native : std::size(shapes::all))];
    if (input_.below(32) != 31) return call(*file, shape, input_, caller_);
    // another process that holds the same descriptors
    std::swap(files, other_caller_.files());
    call(*file, shape, input_, other_caller_);
    std::swap(files, other_caller_.files());
  }

  void call(iommufd::OpenFile& file, Shape const& shape, FuzzInput& input, ArenaCaller& caller) {
    values_.forget_area();
    DataShape const* const data = shape.role == Role::none ? nullptr : &data_shape(world_.profile.hardware, shape.role);
    if (data != nullptr) write_data(*data, input);
    std::byte bytes[longest_structure]{};
    unsigned at = 4;
    auto const append = [&](std::uint64_t value, unsigned size) {
      std::memcpy(bytes + at, &value, size);
      at += size;
    };
    if (shape.operation != 0) append(shape.operation, 4);
    for (Kind const kind : shape.fields)
      if (kind != Kind::none) append(values_.field(input, kind, data), size_of(kind));
    unsigned const wild = input.take<std::uint8_t>();  // now and then something about the call is
    std::uint32_t const size = wild == 255 ? input.below(longest_structure) : shape.size;
    if (wild != 254) std::memset(bytes + std::min<std::size_t>(at, size), 0, sizeof bytes - std::min<std::size_t>(at, size));
    std::memcpy(bytes, &size, sizeof size);
    std::memcpy(world_.arena.structure(), bytes, sizeof bytes);
    std::uint64_t argument = std::bit_cast<std::uint64_t>(world_.arena.structure());
    if (shape.request == VFIO_CHECK_EXTENSION || shape.request == VFIO_SET_IOMMU)
      argument = 1 + input.below(12);
    else if (wild == 253)
      argument = values_.field(input, Kind::address, data);
    std::uint32_t request = shape.request;
    if (wild == 252) request ^= 1U << input.below(32);
    auto const result = file.ioctl(caller, request, argument);
    count(shape.name, result);
    if (shape.request == IOMMU_HWPT_INVALIDATE && wild < 252) count_entries(result);
    if (result && wild < 252) learn(shape, *result);
  }

  void write_data(DataShape const& data, FuzzInput& input) {
    std::byte* at = world_.arena.structure_data();
    for (unsigned n = 0; n < data_entries; n++)
      for (Word const word : data.words) {
        if (word == Word::none) continue;
        std::uint64_t const value = values_.word(input, word);
        std::memcpy(at, &value, size_of(word));
        at += size_of(word);
      }
  }

  // Of HWPT_INVALIDATE: what was done, and the entry that was refused.
  void count_entries(Result<std::uint64_t> const& result) {
    iommu_hwpt_invalidate call;
    std::memcpy(&call, world_.arena.structure(), sizeof call);
    for (std::uint32_t n = 0; n <= call.entry_num && n < data_entries; n++) {
      bool const done = n < call.entry_num;
      std::uint64_t word = 0;
      if ((!done && result) ||
          !caller_.copy_in(call.data_uptr + std::uint64_t{n} * call.entry_len, std::as_writable_bytes(std::span(&word, 1))))
        return;
      counts_.add(entry_name(call.data_type, word), name(world_.profile.hardware), done ? 0 : result.error().code);
    }
  }

  // What the call gave.
  void learn(Shape const& shape, std::uint64_t result) {
    std::byte const* const structure = world_.arena.structure();
    unsigned at = shape.operation != 0 ? 8 : 4;
    std::uint64_t iova = 0, length = 0;
    for (Kind const kind : shape.fields) {
      if (kind == Kind::none) break;
      std::uint64_t value = 0;
      std::memcpy(&value, structure + at, size_of(kind));
      if (is_given(kind)) values_.add(kind, static_cast<std::uint32_t>(value));
      if (kind == Kind::iova && iova == 0) iova = value;
      if (kind == Kind::length) length = value;
      at += size_of(kind);
    }
    if (shape.request == IOMMU_IOAS_MAP || shape.request == IOMMU_IOAS_MAP_FILE || shape.request == IOMMU_IOAS_COPY ||
        shape.request == VFIO_IOMMU_MAP_DMA)
      values_.add_area(iova, length);
    using iommufd::selftest::MockViommuData;
    if (shape.role == Role::viommu)
      std::memcpy(&mappable_, world_.arena.structure_data() + offsetof(MockViommuData, out_map_offset), sizeof mappable_);
    if (shape.operation == static_cast<std::uint32_t>(iommufd::selftest::TestOperation::dmabuf_get))
      values_.add_buffer(static_cast<std::uint32_t>(result));
  }

  void read(iommufd::OpenFile& file) {
    std::uint64_t const to = field(Kind::address);
    count("read", file.read(caller_, to, room(sizeof(iommu_hwpt_pgfault))));
  }
  void write(iommufd::OpenFile& file) {
    std::uint64_t const from = field(Kind::address);
    count("write", file.write(caller_, from, room(sizeof(iommu_hwpt_page_response))));
  }

  void map(iommufd::OpenFile& file) {
    unsigned const form = input_.below(8);
    if (form == 7) return regions_.clear();
    std::uint64_t const offset = form < 6 ? mappable_ : field(Kind::offset);
    std::uint64_t const length = form < 5 ? 2 * Arena::page : field(Kind::length);
    auto mapped = file.map(offset, length, PROT_READ | PROT_WRITE, MAP_SHARED);
    count("mmap", mapped);
    if (mapped && regions_.size() < 8) regions_.push_back(std::move(*mapped));
  }

  void respond(iommufd::OpenFile& file) {
    iommu_hwpt_page_response responses[2]{};
    for (auto& response : responses) {
      response.cookie = 1 + input_.below(4);
      response.code = input_.below(8) % 3;
    }
    std::memcpy(world_.arena.structure_data(), responses, sizeof responses);
    count("respond", file.write(caller_, std::bit_cast<std::uint64_t>(world_.arena.structure_data()),
                                input_.flag() ? sizeof responses : sizeof responses[0]));
  }

  void write_table_word() {
    unsigned const page = input_.below(12), index = input_.below(32);
    std::uint64_t const word = values_.table_word(input_);
    values_.tables().put(page * Arena::page + 8 * index, word);
  }

  std::uint64_t field(Kind kind) { return values_.field(input_, kind, nullptr); }
  std::uint64_t room(std::uint64_t record) {
    unsigned const form = input_.below(8);
    return form < 6 ? record * form : field(Kind::length);
  }
  template <class Outcome>
  void count(std::string_view what, Outcome const& outcome) {
    if (!outcome) require(outcome.error().code > 0 && !outcome.error().about.empty());
    counts_.add(what, name(world_.profile.hardware), outcome ? 0 : outcome.error().code);
  }

  World& world_;
  FuzzInput& input_;
  OutcomeCounts& counts_;
  ArenaCaller caller_, other_caller_;
  Values values_;
  Devices devices_;
  std::vector<int> descriptors_;  // of opened files, some of them closed
  std::uint64_t mappable_ = 0;    // where the last vIOMMU can be mapped
  std::vector<std::shared_ptr<iommufd::MappableMemory>> regions_;
};

inline void run_ioctl_stream(std::span<std::uint8_t const> bytes, OutcomeCounts& counts) {
  FuzzInput input(bytes.data(), bytes.size());
  World& where = world(input.below(worlds));
  IoctlStream stream(where, input, counts);
  stream.run();
  stream.end();
}

}  // namespace swiommu::fuzzing
