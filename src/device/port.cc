#include "swiommu/device/port.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "device/lookaside.h"
#include "swiommu/base/function_ref.h"
#include "swiommu/memory/device_range.h"
#include "swiommu/memory/doubtful_memory.h"
#include "swiommu/memory/moves.h"

namespace swiommu {

namespace {

// Longest piece that is copied under one guard.
constexpr std::uint64_t piece = std::uint64_t{64} << 10;

// How often in a row "the page is there" is believed when it is not.
constexpr unsigned most_answers = 16;

std::uint64_t key_of(std::optional<Pasid> pasid) { return pasid ? *pasid : no_pasid; }

// The block around `iova` without what is beyond the edges of `hole`.
Range without(Range block, Range hole, std::uint64_t iova) {
  if (!block.overlaps(hole)) return block;
  return iova < hole.start ? Range{block.start, hole.start - 1} : Range{hole.last + 1, block.last};
}

// Of so many bytes from there: beyond the top of the space a transfer does not go on at 0.
std::uint64_t before_the_top(Iova iova, std::uint64_t length) {
  return length != 0 && length - 1 > ~iova.value ? ~iova.value + 1 : length;
}

}  // namespace

Port::Port(std::shared_ptr<Device> device, Host const& host, std::unique_ptr<Lookaside> kept)
    : device_(std::move(device)),
      host_(host),
      epoch_(host.grace),
      kept_(std::move(kept)),
      last_(kept_->last),
      doubtful_(host.memory->doubtful()),
      moves_seen_(host.memory->moves() != nullptr ? host.memory->moves()->version() : 0) {}

Port::~Port() {
  if (open_) device_->close(*this);
}

Port::Serving Port::serving(std::optional<Pasid> pasid) const {
  std::uint64_t const key = key_of(pasid);
  Device::Attachments const& attachments = *device_->attachments_.load(std::memory_order_acquire);
  for (Attachment const& attachment : attachments)
    if (attachment.key == key) return {&attachment, {}};
  if (pasid && (*pasid & ~low_bits(device_->options().pasid_bits)) == 0)
    for (Attachment const& attachment : attachments)
      if (attachment.directs_pasids) return {&attachment, pasid};
  return {};
}

Chunk Port::find_kept(std::uint64_t iova, std::uint64_t rights) noexcept { return kept_->find_held(iova, rights); }

Chunk Port::find_remembered(std::uint64_t iova, std::uint64_t rights, std::uint64_t key) noexcept {
  return kept_->find(iova, rights, key);
}

std::expected<Chunk, FaultRecord> Port::walk(std::uint64_t iova, Access access, std::optional<Pasid> pasid,
                                             DeviceTarget* target) {
  // Before everything that it counts the changes of: what is found then is not kept if it changes meanwhile.
  std::uint64_t const changes = kept_->changes();
  Serving const found = serving(pasid);
  if (found.attachment == nullptr)
    return std::unexpected(FaultRecord{.device = device_->options().requester_id,
                                       .pasid = pasid,
                                       .iova = iova,
                                       .access = access,
                                       .reason = Reason::configuration});
  Domain const& domain = *found.attachment->domain;
  std::uint64_t const key = key_of(pasid), generation = domain.generation();
  std::uint32_t context = last_.context;
  if (!kept_->begin_walk(key, changes, generation, found.directed)) {
    context = kept_->set_context(key, changes, generation, found.directed);
    // It may be that what has changed is something else.
    if (Chunk const kept = kept_->find(iova, LastTranslation::rights_of(access), key)) return kept;
  }

  add(walks_, 1);
  if (domain.kind() == DomainKind::nested || domain.kind() == DomainKind::shadow) add(nested_walks_, 1);
  std::optional<Range> const& messages = device_->options().interrupt_range;
  if (!found.directed && (!messages || !messages->overlaps(Range::block(iova, KeptBlock::page_lg2))))
    if (KeptBlock const page = domain.page_through(*kept_, iova, access); page.data != nullptr)
      return kept_->keep_page(iova, page, access, context, changes);
  Translation t{.reason = Reason::out_of_range, .where = &domain};
  if (!messages || !messages->contains(iova)) t = domain.translate(iova, access, Update::yes, found.directed, kept_.get());
  if (t.ok()) {
    Range block = Range::block(iova, t.size_lg2);
    if (messages) block = without(block, *messages, iova);
    if (Chunk const chunk = kept_->keep(domain, iova, block, t, access, context, changes)) return chunk;
    if (FoundDevice device = target != nullptr ? host_.memory->device_range(t.output) : FoundDevice()) {
      Range const range = device.range();
      std::uint64_t const rest = std::min(block.last - iova, range.last - t.output);  // less one
      *target = {std::move(device), t.output - range.start, rest + 1};
    }
    t.reason = Reason::output_unreachable;
  }
  FaultRecord record = fault_of(domain, t, iova, access);
  record.device = device_->options().requester_id;
  record.pasid = pasid;
  return std::unexpected(record);
}

// The translation leads to memory that is not there.
FaultRecord Port::lost(Iova iova, Access access, std::optional<Pasid> pasid) const {
  return {.device = device_->options().requester_id,
          .pasid = pasid,
          .iova = iova.value,
          .access = access,
          .reason = Reason::output_unreachable,
          .domain = DomainKind::paging};
}

FaultRecord Port::beyond_the_top(Access access, std::optional<Pasid> pasid) const {
  return {.device = device_->options().requester_id, .pasid = pasid, .iova = 0, .access = access, .reason = Reason::out_of_range};
}

bool Port::memory_has_moved() {
  Moves* const moves = host_.memory->moves();
  return moves != nullptr && guards_held() == 0 && moves->passed(moves_seen_);
}

struct Port::Transfer {
  // Returns how many bytes it has copied.
  FunctionRef<std::uint64_t(std::byte* data, std::uint64_t done, std::uint64_t part)> memory;
  FunctionRef<bool(DeviceRange& device, std::uint64_t offset, std::uint64_t done, std::uint64_t part)> device;
};

DmaResult Port::transfer(Iova iova, std::uint64_t length, Access access, std::optional<Pasid> pasid, Transfer const& way) {
  DmaResult result = transfer_some(iova, length, access, pasid, way);
  add(transfers_, 1);
  add(bytes_, result.done);
  return result;
}

DmaResult Port::transfer_some(Iova iova, std::uint64_t length, Access access, std::optional<Pasid> pasid, Transfer const& way) {
  DmaResult result;
  std::uint64_t const end = before_the_top(iova, length);
  unsigned answers = 0;  // that did not bring what is missing
  while (result.done < end) {
    DeviceTarget target;
    std::uint64_t part = 0;
    {
      Guard const guard(*this);
      auto const chunk = find(iova + result.done, access, pasid, &target);
      if (chunk) {
        part = std::min({chunk->length, end - result.done, piece});
        std::uint64_t const copied = way.memory(chunk->data, result.done, part);
        if (copied < part) {
          result.done += copied;
          result.fault = lost(iova + result.done, access, pasid);
        }
      } else {
        result.fault = chunk.error();
      }
    }
    // A callback may wait and call back: never inside the guard.
    if (result.fault) {
      if (!target.found) {
        bool const again = memory_has_moved() ||
                           (answers++ < most_answers && ask_for_pages(*result.fault, iova.value + (end - 1), result.pending));
        if (!again) return result;
        result.fault.reset();
        continue;
      }
      part = std::min({target.length, end - result.done, piece});
      if (!way.device(*target.found.device(), target.offset, result.done, part)) return result;
      result.fault.reset();
    }
    result.done += part;
    answers = 0;
  }
  if (end < length) result.fault = beyond_the_top(access, pasid);
  return result;
}

DmaResult Port::read(Iova iova, void* to, std::uint64_t length, std::optional<Pasid> pasid) {
  auto* const bytes = static_cast<std::byte*>(to);
  auto const memory = [&](std::byte* data, std::uint64_t done, std::uint64_t part) -> std::uint64_t {
    if (doubtful_) return read_doubtful(bytes + done, data, part);
    std::memcpy(bytes + done, data, part);
    return part;
  };
  auto const device = [&](DeviceRange& range, std::uint64_t offset, std::uint64_t done, std::uint64_t part) {
    return range.read(offset, {bytes + done, part});
  };
  return transfer(iova, length, Access::reading(), pasid, {memory, device});
}

DmaResult Port::write(Iova iova, void const* from, std::uint64_t length, std::optional<Pasid> pasid) {
  auto const* const bytes = static_cast<std::byte const*>(from);
  auto const memory = [&](std::byte* data, std::uint64_t done, std::uint64_t part) -> std::uint64_t {
    if (doubtful_) return write_doubtful(data, bytes + done, part);
    std::memcpy(data, bytes + done, part);
    return part;
  };
  auto const device = [&](DeviceRange& range, std::uint64_t offset, std::uint64_t done, std::uint64_t part) {
    return range.write(offset, {bytes + done, part});
  };
  return transfer(iova, length, Access::writing(), pasid, {memory, device});
}

// Of what lies in a row on both sides.
struct Port::Copied {
  std::uint64_t part = 0;            // bytes; 0: nothing, because of
  std::optional<FaultRecord> fault;  // of one side
  bool meets_device = false;         // a device range is where it should be
};

Port::Copied Port::copy_directly(Iova from, Iova to, std::uint64_t length, std::optional<Pasid> pasid) {
  Guard const guard(*this);
  DeviceTarget device;
  auto const source = find(from, Access::reading(), pasid, &device);
  auto const destination = source ? find(to, Access::writing(), pasid, &device) : source;
  if (!destination) return {.fault = destination.error(), .meets_device = static_cast<bool>(device.found)};
  std::uint64_t const part = std::min({source->length, destination->length, length, piece});
  if (!doubtful_) {
    std::memmove(destination->data, source->data, part);
    return {.part = part};
  }
  if (std::uint64_t const copied = read_doubtful(destination->data, source->data, part); copied != 0) return {.part = copied};
  std::byte first;
  bool const readable = read_doubtful(&first, source->data, 1) == 1;
  return {.fault = readable ? lost(to, Access::writing(), pasid) : lost(from, Access::reading(), pasid)};
}

DmaResult Port::copy_through_buffer(Iova from, Iova to, std::uint64_t length, std::optional<Pasid> pasid) {
  std::array<std::byte, 4096> buffer;
  DmaResult in = read(from, buffer.data(), std::min<std::uint64_t>(length, buffer.size()), pasid);
  if (in.done == 0) return in;
  DmaResult out = write(to, buffer.data(), in.done, pasid);
  if (out.ok()) {
    out.fault = in.fault;
    out.pending = in.pending;
  }
  return out;
}

DmaResult Port::copy(Iova from, Iova to, std::uint64_t length, std::optional<Pasid> pasid) {
  std::uint64_t const end = std::min(before_the_top(from, length), before_the_top(to, length));
  std::uint64_t direct = 0;
  unsigned answers = 0;  // that did not bring what is missing
  DmaResult result;
  while (result.ok() && result.done < end) {
    Iova const source = from + result.done, destination = to + result.done;
    Copied const copied = copy_directly(source, destination, end - result.done, pasid);
    if (copied.part != 0) {
      result.done += copied.part;
      direct += copied.part;
      answers = 0;
    } else if (copied.meets_device) {
      DmaResult const more = copy_through_buffer(source, destination, end - result.done, pasid);
      result = {.done = result.done + more.done, .fault = more.fault, .pending = more.pending};
    } else {
      std::uint64_t const last = (copied.fault->access.write ? to : from).value + (end - 1);
      bool const again = memory_has_moved() || (answers++ < most_answers && ask_for_pages(*copied.fault, last, result.pending));
      if (!again) result.fault = copied.fault;
    }
  }
  add(transfers_, 2);
  add(bytes_, 2 * direct);
  if (result.ok() && end < length)
    result.fault = beyond_the_top(end == before_the_top(from, length) ? Access::reading() : Access::writing(), pasid);
  return result;
}

// Asks for the words that a look-up reads, then for what it leads to, well before either is used.
template <class Part>
DmaResult Port::for_each(std::span<Segment const> list, Part part) {
  constexpr std::size_t ahead = 4;
  for (std::size_t n = 0; n < std::min(list.size(), 2 * ahead); n++) kept_->prefetch_entry(list[n].iova.value);
  for (std::size_t n = 0; n < std::min(list.size(), ahead); n++) kept_->prefetch_target(list[n].iova.value);
  std::uint64_t done = 0;
  for (std::size_t n = 0; n < list.size(); n++) {
    if (n + 2 * ahead < list.size()) kept_->prefetch_entry(list[n + 2 * ahead].iova.value);
    if (n + ahead < list.size()) kept_->prefetch_target(list[n + ahead].iova.value);
    DmaResult result = part(list[n], done);
    done += result.done;
    if (!result.ok()) {
      result.done = done;
      return result;
    }
  }
  return {.done = done, .fault = {}, .pending = {}};
}

DmaResult Port::read(std::span<Segment const> list, void* to, std::optional<Pasid> pasid) {
  return for_each(list, [&](Segment const& segment, std::uint64_t done) {
    return read(segment.iova, static_cast<std::byte*>(to) + done, segment.length, pasid);
  });
}

DmaResult Port::write(std::span<Segment const> list, void const* from, std::optional<Pasid> pasid) {
  return for_each(list, [&](Segment const& segment, std::uint64_t done) {
    return write(segment.iova, static_cast<std::byte const*>(from) + done, segment.length, pasid);
  });
}

template <class T, class Operation>
Result<AtomicResult<T>> Port::atomic(Iova iova, std::optional<Pasid> pasid, Operation operation) {
  static_assert(std::endian::native == std::endian::little, "operands are little-endian");
  if (iova.value % sizeof(T) != 0) return fail(EINVAL, "an atomic operation must be naturally aligned");
  std::optional<std::uint32_t> pending;
  for (unsigned answers = 0;; answers++) {
    FaultRecord fault;
    {
      Guard const guard(*this);
      auto const chunk = find(iova, Access::both(), pasid, nullptr);
      if (chunk) {
        if (chunk->length < sizeof(T) || reinterpret_cast<std::uintptr_t>(chunk->data) % sizeof(T) != 0)
          return fail(EINVAL, "the memory behind an atomic operation is not naturally aligned");
        if (doubtful_ && !can_be_written(chunk->data))
          return AtomicResult<T>{.before = {}, .fault = lost(iova, Access::both(), pasid), .pending = {}};
        return AtomicResult<T>{.before = operation(reinterpret_cast<T*>(chunk->data)), .fault = {}, .pending = {}};
      }
      fault = chunk.error();
    }
    if (!memory_has_moved() && (answers >= most_answers || !ask_for_pages(fault, iova.value, pending)))
      return AtomicResult<T>{.before = {}, .fault = fault, .pending = pending};
  }
}

template <class T>
Result<AtomicResult<T>> Port::fetch_add(Iova iova, T addend, std::optional<Pasid> pasid) {
  return atomic<T>(iova, pasid, [&](T* word) { return __atomic_fetch_add(word, addend, __ATOMIC_SEQ_CST); });
}

template <class T>
Result<AtomicResult<T>> Port::swap(Iova iova, T value, std::optional<Pasid> pasid) {
  return atomic<T>(iova, pasid, [&](T* word) { return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST); });
}

template <class T>
Result<AtomicResult<T>> Port::compare_swap(Iova iova, T expected, T value, std::optional<Pasid> pasid) {
  return atomic<T>(iova, pasid, [&](T* word) {
    __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
  });
}

template Result<AtomicResult<std::uint32_t>> Port::fetch_add(Iova, std::uint32_t, std::optional<Pasid>);
template Result<AtomicResult<std::uint64_t>> Port::fetch_add(Iova, std::uint64_t, std::optional<Pasid>);
template Result<AtomicResult<std::uint32_t>> Port::swap(Iova, std::uint32_t, std::optional<Pasid>);
template Result<AtomicResult<std::uint64_t>> Port::swap(Iova, std::uint64_t, std::optional<Pasid>);
template Result<AtomicResult<std::uint32_t>> Port::compare_swap(Iova, std::uint32_t, std::uint32_t, std::optional<Pasid>);
template Result<AtomicResult<std::uint64_t>> Port::compare_swap(Iova, std::uint64_t, std::uint64_t, std::optional<Pasid>);

}  // namespace swiommu
