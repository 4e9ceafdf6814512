#include "vfio/devices/ioat/channel.h"

#include <algorithm>

#include "swiommu/base/bits.h"

namespace swiommu::vfio::ioat {
namespace {

// Of a copy at a time, so that it ends soon.
constexpr std::uint64_t piece = std::uint64_t{64} << 10;

constexpr std::uint64_t base_of(unsigned number) { return offset::channels + offset::channel_bytes * number; }

bool wraps(std::uint64_t start, std::uint64_t bytes) { return start + (bytes - 1) < start; }

}  // namespace

Channel::Channel(Shared& shared, unsigned number, std::unique_ptr<Port> port)
    : shared_(shared),
      number_(number),
      port_(std::move(port)),
      control_(shared.memory->word<std::uint64_t>(base_of(number) + offset::chanctrl)),
      registers_(*shared.memory, base_of(number)),
      thread_(wakeup_, [this] { return work(); }, [this] { return shared_.memory->mapped(); }) {}

std::uint64_t Channel::read(std::uint64_t word) {
  Lock const lock(mutex_);
  return registers_.read(word);
}

void Channel::write(std::uint64_t word, std::uint64_t value, std::uint64_t bytes) {
  {
    Lock const lock(mutex_);
    registers_.write(word, value, bytes);
  }
  wakeup_.wake();
}

void Channel::reset() {
  Lock const lock(mutex_);
  registers_.reset();
  interrupt_writes_ = shared_.general.look();  // what was written before arms nothing after
}

bool Channel::attend() {
  std::uint64_t writes = shared_.general.look();
  bool worked = registers_.look();
  bool const reset = registers_.reset_wanted();
  if (reset) writes = shared_.general.look();  // so that what was written before the reset is not taken for what comes after
  if (registers_.obey()) worked = true;
  if (writes != interrupt_writes_ && !reset) registers_.arm();
  interrupt_writes_ = writes;
  return worked;
}

bool Channel::work() {
  Gate::Pass const pass(shared_.gate);
  Job job;
  {
    Lock const lock(mutex_);
    bool const worked = attend();
    if (!pass || !registers_.ready()) return worked;
    job = registers_.job();
  }
  Descriptor descriptor;
  if (auto const errors = run(job, descriptor)) finish(job, descriptor, *errors);
  return true;
}

bool Channel::given_up() const {
  return shared_.gate.closed() || (control_.load(std::memory_order_relaxed) >> 32 & chancmd::reset) != 0;
}

bool Channel::ok(DmaResult const& result) {
  if (!result.ok()) shared_.slot.report(*result.fault);
  return result.ok();
}

std::optional<std::uint32_t> Channel::run(Job const& job, Descriptor& descriptor) {
  if (!is_aligned(job.address, descriptor_bytes_lg2)) return job.first ? chanerr::chain_address : chanerr::next_alignment;
  if (!ok(port_->read(Iova(job.address), &descriptor, sizeof descriptor)))
    return job.first ? chanerr::chain_address : chanerr::next_address;
  if (descriptor.operation() != 0) return chanerr::control;
  // Of a null descriptor too: Linux knows of hardware that minds.
  if (descriptor.size == 0 || descriptor.size > bit(shared_.options.largest_transfer_lg2)) return chanerr::length;
  if ((descriptor.control & Descriptor::null) != 0) return 0;
  if (wraps(descriptor.source, descriptor.size)) return chanerr::source_address;
  if (wraps(descriptor.destination, descriptor.size)) return chanerr::destination_address;
  return copy(descriptor);
}

std::optional<std::uint32_t> Channel::copy(Descriptor const& descriptor) {
  for (std::uint64_t done = 0; done < descriptor.size;) {
    if (given_up()) return std::nullopt;
    std::uint64_t const length = std::min<std::uint64_t>(piece, descriptor.size - done);
    DmaResult const copied = port_->copy(Iova(descriptor.source + done), Iova(descriptor.destination + done), length);
    if (!ok(copied)) return copied.fault->access.write ? chanerr::write_data : chanerr::read_data;
    done += length;
  }
  return 0;
}

bool Channel::write_status(std::uint64_t iova, std::uint64_t status) {
  if (!is_aligned(iova, 3)) return false;
  // An atomic operation orders it after what was copied. It wants to read as well, which memory that is only written does not
  // allow.
  if (auto const swapped = port_->swap<std::uint64_t>(Iova(iova), status); swapped && swapped->ok()) return true;
  return ok(port_->write(Iova(iova), &status, sizeof status));
}

void Channel::finish(Job const& job, Descriptor const& descriptor, std::uint32_t errors) {
  std::uint64_t status = 0, to = 0;
  bool writes = false;
  {
    Lock const lock(mutex_);
    (void)registers_.look();
    if (!registers_.is_current(job)) return;
    status = errors == 0 ? registers_.status_after(job) : registers_.status_halted();
    writes = errors == 0 ? (descriptor.control & Descriptor::completion_write) != 0 : registers_.completes_errors();
    to = registers_.completion_address();
  }
  if (writes && !write_status(to, status)) errors |= chanerr::completion_address;
  bool raises = false;
  {
    Lock const lock(mutex_);
    if (!registers_.is_current(job)) return;
    raises = errors == 0 ? registers_.complete(job, descriptor.next, (descriptor.control & Descriptor::interrupt) != 0)
                         : registers_.halt(errors);
  }
  if (raises) shared_.general.raise(number_);
}

}  // namespace swiommu::vfio::ioat
