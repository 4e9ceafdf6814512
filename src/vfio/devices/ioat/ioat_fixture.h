// A small driver of I/OAT engines, and an engine with two channels.
#pragma once
#include <cstring>

#include "swiommu/vfio/ioat.h"
#include "vfio/devices/ioat/descriptor.h"
#include "vfio/devices/ioat/registers.h"
#include "vfio/devices/model_host_fixture.h"

namespace swiommu::vfio::ioat {

struct IoatTest : testing::Test {
  static constexpr std::uint64_t pages = 2048;
  static constexpr std::uint64_t nowhere = std::uint64_t{1} << 40;  // not mapped

  void SetUp() override {
    ASSERT_TRUE(domain->map({page, memory->bytes() - 1}, HostAddress(MirroredMemory::start + page), {.access = Access::both()}));
    ASSERT_TRUE(device->attach(domain));
    plug();
  }
  void TearDown() override { model.reset(); }
  void plug(IoatOptions const& options = {.channels = 2}) {
    auto made = make_ioat(slot, options);
    ASSERT_TRUE(made) << made.error().message();
    model = std::move(*made);
  }

  // Registers, by calls, or through a mapping if there is one.
  template <class T>
  T get(std::uint64_t at) {
    T value = 0;
    if (mapping != nullptr) return __atomic_load_n(reinterpret_cast<T*>(mapping + at), __ATOMIC_SEQ_CST);
    model->read_bar(0, at, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <class T>
  void set(std::uint64_t at, T value) {
    if (mapping != nullptr) return __atomic_store_n(reinterpret_cast<T*>(mapping + at), value, __ATOMIC_SEQ_CST);
    model->write_bar(0, at, std::as_bytes(std::span(&value, 1)));
  }
  void map() {
    handle = model->map_bar(0).value();
    bar_bytes = model->description().bars[0].bytes;
    void* const at = ::mmap(nullptr, bar_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, handle->descriptor(),
                            static_cast<off_t>(handle->offset()));
    ASSERT_NE(at, MAP_FAILED);
    mapping = static_cast<std::byte*>(at);
  }
  void unmap() {
    ::munmap(std::exchange(mapping, nullptr), bar_bytes);
    handle.reset();
  }

  [[nodiscard]] std::uint64_t at(std::uint32_t offset) const {
    return offset::channels + offset::channel_bytes * channel + offset;
  }
  std::uint64_t chansts() { return get<std::uint64_t>(at(offset::chansts)); }
  ChannelState state() { return static_cast<ChannelState>(chansts() & 7); }
  std::uint32_t errors() { return get<std::uint32_t>(at(offset::chanerr)); }
  bool await(ChannelState wanted) {
    return eventually([&] { return state() == wanted; });
  }
  void command(std::uint8_t what) { set<std::uint8_t>(at(offset::chancmd), what); }
  void reset_channel() {
    command(chancmd::reset);
    ASSERT_TRUE(eventually([&] { return (get<std::uint8_t>(at(offset::chancmd)) & chancmd::reset) == 0; }));
    ASSERT_EQ(state(), ChannelState::halted);
  }
  void start(std::uint64_t chain, std::uint16_t count, std::uint16_t control = chanctrl::interrupt_disabled) {
    set<std::uint64_t>(at(offset::chainaddr), chain);
    set<std::uint16_t>(at(offset::chanctrl), control);
    set<std::uint16_t>(at(offset::dmacount), count);
  }

  // Memory, zeroed.
  std::uint64_t allocate(std::uint64_t bytes) {
    std::uint64_t const at = next;
    next += (bytes + 63) / 64 * 64;
    EXPECT_LE(next, memory->bytes());
    std::memset(memory->data(at), 0, bytes);
    return at;
  }
  void put(std::uint64_t iova, Descriptor const& descriptor) { std::memcpy(memory->data(iova), &descriptor, sizeof descriptor); }
  std::uint64_t word(std::uint64_t iova) {
    return __atomic_load_n(reinterpret_cast<std::uint64_t*>(memory->data(iova)), __ATOMIC_SEQ_CST);
  }
  // A ring of copies from `source` on to `destination` on, `bytes` each.
  std::uint64_t ring(unsigned entries, std::uint64_t source, std::uint64_t destination, std::uint32_t bytes,
                     std::uint32_t control = 0) {
    std::uint64_t const place = allocate(64 * entries);
    for (unsigned n = 0; n < entries; n++)
      put(place + 64 * n, {.size = bytes,
                           .control = control,
                           .source = source + std::uint64_t{bytes} * n,
                           .destination = destination + std::uint64_t{bytes} * n,
                           .next = place + 64 * ((n + 1) % entries)});
    return place;
  }
  void fill(std::uint64_t iova, std::uint64_t bytes, unsigned seed = 1) {
    for (std::uint64_t n = 0; n < bytes; n++) memory->data(iova)[n] = static_cast<std::byte>(seed + n * 7 + n / 256);
  }
  bool same(std::uint64_t left, std::uint64_t right, std::uint64_t bytes) {
    return std::memcmp(memory->data(left), memory->data(right), bytes) == 0;
  }

  std::shared_ptr<MirroredMemory> memory = std::make_shared<MirroredMemory>(pages);
  Host host = Host::create(memory).value();
  std::shared_ptr<PagingDomain> domain =
      PagingDomain::create(host, {.format = FormatName::vtd_second_stage, .levels = 4}).value();
  std::shared_ptr<Device> device = Device::create(host, {.requester_id = 0x20}).value();
  FakeSlot slot{device};
  std::unique_ptr<DeviceModel> model;
  std::shared_ptr<iommufd::MappableMemory> handle;
  std::byte* mapping = nullptr;
  std::uint64_t bar_bytes = 0;
  std::uint64_t next = page;
  unsigned channel = 0;
};

}  // namespace swiommu::vfio::ioat
