// A small driver of NVMe controllers, and a controller with two namespaces.
#pragma once
#include <fmt/format.h>

#include <cstring>
#include <random>

#include "conformance/effort.h"
#include "swiommu/vfio/nvme.h"
#include "vfio/devices/model_host_fixture.h"
#include "vfio/devices/nvme/command.h"
#include "vfio/devices/nvme/disk_fixture.h"
#include "vfio/devices/nvme/registers.h"

namespace swiommu::vfio::nvme {

struct DriverQueue {
  std::uint16_t id = 0;
  std::uint64_t submissions = 0, completions = 0;  // iovas
  std::uint32_t entries = 0;
  std::uint32_t tail = 0, head = 0;
  std::uint16_t phase = 1;
  std::uint16_t completion_id = 0;
};

struct NvmeTest : testing::Test {
  static constexpr std::uint64_t pages = 4096;
  static constexpr std::uint64_t blocks = 8192;  // of each namespace

  void SetUp() override {
    ASSERT_TRUE(domain->map({page, memory->bytes() - 1}, HostAddress(MirroredMemory::start + page), {.access = Access::both()}));
    ASSERT_TRUE(device->attach(domain));
    plug();
  }
  void TearDown() override { model.reset(); }

  virtual NvmeOptions options() {
    return {.namespaces = {{.path = disk.path()}, {.path = large_blocks.path(), .block_size = 4096}},
            .serial = "S1",
            .io_queues = 8,
            .queue_entries = 256,
            .mdts = 6};
  }
  void plug() {
    auto made = make_nvme(slot, options());
    ASSERT_TRUE(made) << made.error().message();
    model = std::move(*made);
  }

  // Registers, by calls, or through a mapping if there is one.
  std::uint32_t get(std::uint64_t at) {
    std::uint32_t value = 0;
    if (mapping != nullptr) return std::atomic_ref(mapping[at / 4]).load();
    model->read_bar(0, at, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void set(std::uint64_t at, std::uint32_t value) {
    if (mapping != nullptr) return std::atomic_ref(mapping[at / 4]).store(value);
    model->write_bar(0, at, std::as_bytes(std::span(&value, 1)));
  }
  void set_wide(std::uint64_t at, std::uint64_t value) {
    if (mapping == nullptr) return model->write_bar(0, at, std::as_bytes(std::span(&value, 1)));
    set(at, static_cast<std::uint32_t>(value));
    set(at + 4, static_cast<std::uint32_t>(value >> 32));
  }
  void map() {
    handle = model->map_bar(0).value();
    bar_bytes = model->description().bars[0].bytes;
    mapping = static_cast<std::uint32_t*>(::mmap(nullptr, bar_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, handle->descriptor(),
                                                 static_cast<off_t>(handle->offset())));
    ASSERT_NE(static_cast<void*>(mapping), MAP_FAILED);
  }
  void unmap() {
    ::munmap(std::exchange(mapping, nullptr), bar_bytes);
    handle.reset();
  }

  // Whole pages of memory, zeroed.
  std::uint64_t allocate(std::uint64_t bytes = page) {
    std::uint64_t const at = next;
    next += (bytes + page - 1) / page * page;
    EXPECT_LE(next, memory->bytes());
    std::memset(memory->data(at), 0, next - at);
    return at;
  }
  template <class T = std::byte>
  T* data(std::uint64_t iova) {
    return reinterpret_cast<T*>(memory->data(iova));
  }

  // 7.6.1, without the I/O queues.
  void prepare(std::uint32_t entries = 32) {
    admin = {.submissions = allocate(entries * 64), .completions = allocate(entries * 16), .entries = entries};
    set(offset::aqa, (entries - 1) << 16 | (entries - 1));
    set_wide(offset::asq, admin.submissions);
    set_wide(offset::acq, admin.completions);
  }
  static constexpr std::uint32_t enabled = 4u << 20 | 6u << 16 | 1;
  bool await_status(std::uint32_t mask, std::uint32_t value) {
    return eventually([&] { return (get(offset::csts) & mask) == value; });
  }
  void enable(std::uint32_t entries = 32) {
    prepare(entries);
    set(offset::cc, enabled);
    ASSERT_TRUE(await_status(csts::ready | csts::fatal, csts::ready));
  }
  void disable() {
    set(offset::cc, enabled & ~1u);
    ASSERT_TRUE(await_status(csts::ready, 0));
  }

  void ring_tail(DriverQueue const& queue) { set(offset::doorbells + 8 * queue.id, queue.tail); }
  void ring_head(DriverQueue const& queue) { set(offset::doorbells + 8 * queue.completion_id + 4, queue.head); }
  std::uint16_t put(DriverQueue& queue, Command command) {
    command.id = next_id++;
    std::memcpy(data(queue.submissions + 64 * queue.tail), &command, sizeof command);
    queue.tail = (queue.tail + 1) % queue.entries;
    return command.id;
  }
  std::uint16_t submit(DriverQueue& queue, Command const& command) {
    std::uint16_t const id = put(queue, command);
    ring_tail(queue);
    return id;
  }
  bool has_completion(DriverQueue const& queue) {
    auto* const word = data<std::uint32_t>(queue.completions + 16 * queue.head + 12);
    return (std::atomic_ref(*word).load() >> 16 & 1) == queue.phase;
  }
  // Takes a completion, without the doorbell.
  Completion take(DriverQueue& queue) {
    Completion completion;
    EXPECT_TRUE(eventually([&] { return has_completion(queue); })) << "no completion in queue " << queue.id;
    memory->published(queue.completions + 16 * queue.head + 12);
    std::memcpy(&completion, data(queue.completions + 16 * queue.head), sizeof completion);
    if (++queue.head == queue.entries) {
      queue.head = 0;
      queue.phase ^= 1;
    }
    return completion;
  }
  Completion await(DriverQueue& queue) {
    Completion const completion = take(queue);
    ring_head(queue);
    return completion;
  }
  Completion run(DriverQueue& queue, Command const& command) {
    std::uint16_t const id = submit(queue, command);
    Completion const completion = await(queue);
    EXPECT_EQ(completion.command, id);
    return completion;
  }
  static Status status_of(Completion const& completion) { return {static_cast<std::uint16_t>(completion.status >> 1 & 0x7ff)}; }
  Status status_of(DriverQueue& queue, Command const& command) { return status_of(run(queue, command)); }
  Status admin_status(Command const& command) { return status_of(admin, command); }

  static Command command(AdminOpcode opcode) { return {.opcode = static_cast<std::uint8_t>(opcode)}; }
  static Command command(NvmOpcode opcode) { return {.opcode = static_cast<std::uint8_t>(opcode)}; }
  Command create_completions(std::uint16_t id, std::uint32_t entries, std::uint64_t iova, std::uint16_t vector = 1) {
    Command c = command(AdminOpcode::create_completion_queue);
    c.prp1 = iova;
    c.cdw10 = (entries - 1) << 16 | id;
    c.cdw11 = static_cast<std::uint32_t>(vector) << 16 | 3;
    return c;
  }
  Command create_submissions(std::uint16_t id, std::uint32_t entries, std::uint64_t iova, std::uint16_t completions) {
    Command c = command(AdminOpcode::create_submission_queue);
    c.prp1 = iova;
    c.cdw10 = (entries - 1) << 16 | id;
    c.cdw11 = static_cast<std::uint32_t>(completions) << 16 | 1;
    return c;
  }
  Command delete_queue(AdminOpcode which, std::uint16_t id) {
    Command c = command(which);
    c.cdw10 = id;
    return c;
  }
  DriverQueue create_pair(std::uint16_t id, std::uint32_t entries = 64, std::uint16_t vector = 1) {
    DriverQueue queue{.id = id,
                      .submissions = allocate(entries * 64),
                      .completions = allocate(entries * 16),
                      .entries = entries,
                      .completion_id = id};
    EXPECT_EQ(admin_status(create_completions(id, entries, queue.completions, vector)), status::success);
    EXPECT_EQ(admin_status(create_submissions(id, entries, queue.submissions, id)), status::success);
    return queue;
  }
  // Of contiguous memory up to two pages, or with the PRP list given.
  static Command on_blocks(NvmOpcode opcode, std::uint32_t nsid, std::uint64_t start, std::uint32_t count, std::uint64_t prp1 = 0,
                           std::uint64_t prp2 = 0) {
    Command c = command(opcode);
    c.nsid = nsid;
    c.prp1 = prp1;
    c.prp2 = prp2;
    c.cdw10 = static_cast<std::uint32_t>(start);
    c.cdw11 = static_cast<std::uint32_t>(start >> 32);
    c.cdw12 = count - 1;
    return c;
  }

  Disk disk{blocks * 512}, large_blocks{blocks * 4096};
  std::shared_ptr<MirroredMemory> memory = std::make_shared<MirroredMemory>(pages);
  Host host = Host::create(memory).value();
  std::shared_ptr<PagingDomain> domain =
      PagingDomain::create(host, {.format = FormatName::vtd_second_stage, .levels = 4}).value();
  std::shared_ptr<Device> device = Device::create(host, {.requester_id = 0x20}).value();
  FakeSlot slot{device};
  std::unique_ptr<DeviceModel> model;
  std::shared_ptr<iommufd::MappableMemory> handle;
  std::uint32_t* mapping = nullptr;
  std::uint64_t bar_bytes = 0;
  DriverQueue admin;
  std::uint64_t next = page;
  std::uint16_t next_id = 1;
};

}  // namespace swiommu::vfio::nvme
