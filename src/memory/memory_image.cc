#include "swiommu/memory/memory_image.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "memory/elf_core.h"
#include "memory/image_file.h"
#include "swiommu/base/bits.h"

namespace swiommu {
namespace {

constexpr unsigned block_lg2 = 16;  // what a lazy copy copies at once
constexpr std::uint64_t page_mask = host_page_size - 1;

}  // namespace

struct MemoryImage::LazyCopy {
  LazyCopy(std::byte const* file, std::uint64_t size) : from(file), length(size), done((size >> (block_lg2 + 6)) + 1) {}

  // Sees to it that the block of this byte is there; `data` is where byte 0 belongs. Returns the bytes from there to the
  // end of the block.
  std::uint64_t fetch(std::byte* data, std::uint64_t at) {
    std::uint64_t const block = at >> block_lg2;
    std::atomic<std::uint64_t>& word = done[block / 64];
    std::uint64_t const start = block << block_lg2;
    std::uint64_t const size = std::min(std::uint64_t{1} << block_lg2, length - start);
    if ((word.load(std::memory_order_acquire) & bit(block % 64)) == 0) {
      std::scoped_lock const lock(copying);
      if ((word.load(std::memory_order_relaxed) & bit(block % 64)) == 0) {
        std::memcpy(data + start, from + start, size);
        word.fetch_or(bit(block % 64), std::memory_order_release);
      }
    }
    return size - (at - start);
  }

  std::byte const* from;
  std::uint64_t length;
  std::vector<std::atomic<std::uint64_t>> done;  // a bit per block
  std::mutex copying;
};

namespace {

enum class Source : std::uint8_t { in_place, lazy, copied };

// A piece of a segment, with its bytes in the file.
struct Piece {
  Range memory;
  std::uint64_t offset;
  std::uint64_t file_size;
  Source source;
  std::uint64_t position = 0;  // of byte 0 in the memory of our own, unless in place
};

// Cuts segments into bodies of whole pages and what is left at both ends. The ends are copied: their pages may be shared with
// a neighbour, and have zeros that are not in the file. A body is used where it is, if it lies as the address wants it.
std::vector<Piece> cut(std::vector<CoreSegment> const& segments) {
  std::vector<Piece> pieces;
  for (CoreSegment const& segment : segments) {
    std::uint64_t done = 0;
    auto const add = [&](std::uint64_t length, Source source) {
      if (length == 0) return;
      std::uint64_t const in_file = done < segment.file_size ? std::min(length, segment.file_size - done) : 0;
      std::uint64_t const start = segment.memory.start + done;
      pieces.push_back({{start, start + (length - 1)}, segment.offset + done, in_file, source});
      done += length;
    };
    // The length of the segment is less than 2^64, because p_memsz is.
    std::uint64_t const head = std::min((0 - segment.memory.start) & page_mask, segment.memory.length());
    std::uint64_t const body = segment.file_size > head ? (segment.file_size - head) & ~page_mask : 0;
    bool const lies_well = ((segment.offset - segment.memory.start) & page_mask) == 0;
    add(head, Source::copied);
    add(body, lies_well ? Source::in_place : Source::lazy);
    add(segment.memory.length() - head - body, Source::copied);
  }
  return pieces;
}

// File bytes that stand for several addresses must be copied, otherwise a write to one would show at the other.
void separate_shared_bytes(std::vector<Piece>& pieces) {
  std::vector<Piece*> bodies;
  for (Piece& piece : pieces)
    if (piece.source != Source::copied) bodies.push_back(&piece);
  std::ranges::sort(bodies, {}, &Piece::offset);
  Piece* furthest = nullptr;  // of those before, the one that ends last in the file
  for (Piece* const body : bodies) {
    if (furthest != nullptr && body->offset < furthest->offset + furthest->file_size)
      body->source = furthest->source = Source::lazy;
    if (furthest == nullptr || furthest->offset + furthest->file_size < body->offset + body->file_size) furthest = body;
  }
}

// Gives every piece that is not in place its position in memory of our own; returns the length of that, nothing if there is no
// such length. Pieces that share a page of the machine share one here.
std::optional<std::uint64_t> assign_positions(std::vector<Piece>& pieces) {
  std::uint64_t used = 0;  // a multiple of the page
  Piece const* previous = nullptr;
  for (Piece& piece : pieces) {
    if (piece.source == Source::in_place) continue;
    std::uint64_t const in_page = piece.memory.start & page_mask;
    bool const shares = previous != nullptr && (previous->memory.last | page_mask) == (piece.memory.start | page_mask);
    piece.position = (shares ? used - host_page_size : used) + in_page;
    std::uint64_t end;
    if (__builtin_add_overflow(piece.position, piece.memory.length(), &end) || __builtin_add_overflow(end, page_mask, &end))
      return std::nullopt;
    used = end & ~page_mask;
    previous = &piece;
  }
  return used;
}

template <class T>
void make_room_for_one(std::vector<T>& vector) {
  if (vector.size() == vector.capacity()) vector.reserve(2 * vector.size() + 8);
}

}  // namespace

MemoryImage::MemoryImage() = default;
MemoryImage::~MemoryImage() = default;

Result<std::unique_ptr<MemoryImage>> MemoryImage::load(std::filesystem::path const& path, MemoryImageOptions options) {
  return guarded([&]() -> Result<std::unique_ptr<MemoryImage>> {
    auto file = open_image_file(path, options.unpacked_limit);
    if (!file) return std::unexpected(std::move(file).error());
    std::string const name = path.string();
    auto image = std::make_unique<MemoryImage>();
    ElfCore core;
    if (options.raw_base) {
      auto const memory = Range::of_length(*options.raw_base, file->length());
      if (!memory)
        return fail(EINVAL,
                    fmt::format("{}: {:#x} bytes from {:#x} leave the 64-bit space", name, file->length(), *options.raw_base));
      core.segments.push_back({*memory, 0, file->length()});
    } else if (looks_like_elf(file->bytes())) {
      auto found = read_elf_core(file->bytes(), name);
      if (!found) return std::unexpected(std::move(found).error());
      core = std::move(*found);
      image->byte_order_ = core.byte_order;
    } else {
      return fail(EINVAL,
                  fmt::format("{} is neither an ELF core nor a zstd-compressed one; raw memory needs its base address", name));
    }
    if (auto placed = image->place(std::move(*file), core.segments); !placed)
      return fail(placed.error().code, fmt::format("{}: {}", name, placed.error().about));
    return image;
  });
}

Result<> MemoryImage::place(Mapping file, std::vector<CoreSegment> const& segments) {
  std::vector<Piece> pieces = cut(segments);
  separate_shared_bytes(pieces);
  std::optional<std::uint64_t> const length = assign_positions(pieces);
  if (!length) return fail(ENOMEM, "the segments are larger than any address space");
  Mapping own;
  if (*length != 0) {
    auto zeros = Mapping::zeros(*length);
    if (!zeros) return std::unexpected(std::move(zeros).error());
    own = std::move(*zeros);
  }
  for (Piece const& piece : pieces) {
    std::byte* const data = piece.source == Source::in_place ? file.data() + piece.offset : own.data() + piece.position;
    LazyCopy* lazy = nullptr;
    if (piece.source == Source::lazy)
      lazy = lazy_copies_.emplace_back(std::make_unique<LazyCopy>(file.data() + piece.offset, piece.file_size)).get();
    else if (piece.source == Source::copied && piece.file_size != 0)
      std::memcpy(data, file.data() + piece.offset, piece.file_size);

    bool const continues = !ranges_.empty() && lazy == nullptr && places_.back().lazy == nullptr &&
                           ranges_.back().last + 1 == piece.memory.start && places_.back().data + ranges_.back().length() == data;
    if (continues) {
      ranges_.back().last = piece.memory.last;
    } else {
      ranges_.push_back(piece.memory);
      places_.push_back({data, lazy});
    }
  }
  mappings_.push_back(std::move(file));
  mappings_.push_back(std::move(own));
  return {};
}

Result<> MemoryImage::add_segment(std::uint64_t address, std::span<std::byte const> bytes) {
  return guarded([&]() -> Result<> {
    auto const range = Range::of_length(address, bytes.size());
    if (!range)
      return fail(EINVAL,
                  fmt::format("a segment of {:#x} bytes at {:#x} is empty or leaves the 64-bit space", bytes.size(), address));
    auto const next = std::ranges::lower_bound(ranges_, address, {}, &Range::last);
    if (next != ranges_.end() && next->overlaps(*range))
      return fail(EEXIST,
                  fmt::format("a segment of {:#x} bytes at {:#x} meets memory at {:#x}", bytes.size(), address, next->start));
    auto const index = next - ranges_.begin();
    std::uint64_t const in_page = address & page_mask;
    auto memory = Mapping::zeros(in_page + bytes.size());
    if (!memory) return std::unexpected(std::move(memory).error());
    std::byte* const data = memory->data() + in_page;
    std::memcpy(data, bytes.data(), bytes.size());
    make_room_for_one(ranges_);
    make_room_for_one(places_);
    mappings_.push_back(std::move(*memory));
    ranges_.insert(ranges_.begin() + index, *range);
    places_.insert(places_.begin() + index, {data, nullptr});
    return {};
  });
}

Chunk MemoryImage::locate(std::uint64_t address, Access) const {
  auto const found = std::ranges::lower_bound(ranges_, address, {}, &Range::last);
  if (found == ranges_.end() || address < found->start) return {};
  std::uint64_t const at = address - found->start;
  Place const& place = places_[static_cast<std::size_t>(found - ranges_.begin())];
  std::uint64_t const length = place.lazy != nullptr ? place.lazy->fetch(place.data, at) : found->last - address + 1;
  return {place.data + at, length};
}

}  // namespace swiommu
