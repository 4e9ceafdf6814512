// Where the memory behind mappings comes from.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "swiommu/base/address.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/memory/host_address_space.h"
#include "swiommu/memory/mapping.h"
#include "swiommu/memory/page_identity.h"

namespace swiommu {

class MovablePages;

// Bytes in a row of host addresses.
struct Row {
  HostAddress address;
  std::uint64_t length = 0;
  bool there = true;  // false: the memory has been lost
};

// Memory in the host address space, in a row unless it has moved. The host address space must outlive it. Any thread may call.
class Backing {
 public:
  Backing(Backing const&) = delete;
  Backing& operator=(Backing const&) = delete;
  virtual ~Backing() = default;

  [[nodiscard]] std::uint64_t length() const { return length_; }  // in bytes
  [[nodiscard]] bool writable() const { return writable_; }
  // Of byte `offset`, which is less than the length.
  [[nodiscard]] HostAddress host_address(std::uint64_t offset) const { return row(offset).address; }
  // What is in a row from byte `offset` on.
  [[nodiscard]] virtual Row row(std::uint64_t offset) const { return {address_ + offset, length_ - offset}; }

  // The same as a pointer.
  [[nodiscard]] std::byte* pointer(std::uint64_t offset) const { return space_.pointer(host_address(offset)); }

  // Bytes from the start of the first page to the first byte: memory of a user may begin anywhere in a page.
  [[nodiscard]] std::uint64_t page_offset() const { return address_.value & (host_page_size - 1); }
  [[nodiscard]] std::uint64_t pages() const { return ((page_offset() + (length_ - 1)) >> host_page_lg2) + 1; }

  // Sees to it that these pages (counted from the one with the first byte) are there and can be read, and written to if the
  // backing is writable; contents do not change. Takes as long as faulting them in takes.
  // EFAULT: some of them are not there, or not accessible; ENOMEM: the system is out of memory; ERANGE: beyond the last page.
  virtual Result<> fault_in(std::uint64_t first_page, std::uint64_t last_page) const;

  // Log2 of the size of the host's pages that it consists of; neighbours of that size need not be neighbours in the machine's
  // memory. May be slow.
  [[nodiscard]] virtual unsigned page_size_lg2() const { return host_page_lg2; }
  // Which page of memory this one (counted as for fault_in()) is, if that is not what is mapped at the pointer now.
  [[nodiscard]] virtual std::optional<PageIdentity> identity(std::uint64_t page) const {
    (void)page;
    return std::nullopt;
  }
  // The host address space must outlive it.
  [[nodiscard]] HostAddressSpace& space() const { return space_; }
  // May it be copied from and to while it is not pinned? Copies find out what is not there.
  [[nodiscard]] virtual bool in_place() const { return false; }

  // Nobody has pinned these pages any more.
  virtual void released(std::uint64_t first_page, std::uint64_t last_page) const noexcept { (void)first_page, (void)last_page; }
  // From before the first page is pinned until after the last one is not. ENOMEM.
  virtual Result<> hold() const { return {}; }
  virtual void let_go() const noexcept {}

  // What takes care of pages that may lose their place while they are pinned; nullptr: they cannot.
  [[nodiscard]] virtual MovablePages* movable() const { return nullptr; }

 protected:
  Backing(HostAddressSpace& space, HostAddress address, std::uint64_t length, bool writable)
      : space_(space), address_(address), length_(length), writable_(writable) {}

  HostAddressSpace& space_;

 private:
  HostAddress address_;
  std::uint64_t length_;
  bool writable_;
};

// Memory that the user of the library has mapped, at any pointer. It is used in place: the user keeps it mapped as long as it
// is pinned, or says beforehand what happens to it (domain/relocations.h). It need not be there before.
class UserMemory final : public Backing {
 public:
  // The errors of HostAddressSpace::add_memory().
  static Result<std::unique_ptr<UserMemory>> create(HostAddressSpace& space, void* data, std::uint64_t length, bool writable);
  ~UserMemory() override;
  [[nodiscard]] bool in_place() const override { return true; }
  [[nodiscard]] unsigned page_size_lg2() const override;

  [[nodiscard]] Row row(std::uint64_t offset) const override;
  Result<> fault_in(std::uint64_t first_page, std::uint64_t last_page) const override;
  void released(std::uint64_t first_page, std::uint64_t last_page) const noexcept override;
  Result<> hold() const override;
  void let_go() const noexcept override;
  [[nodiscard]] MovablePages* movable() const override { return pages_.get(); }

 private:
  UserMemory(HostAddressSpace& space, HostAddress address, std::uint64_t length, bool writable);

  std::unique_ptr<MovablePages> const pages_;
};

// A file or memfd, in a mapping of our own that is independent of other mappings of it. Whoever truncates the file below what
// is used here makes DMA to the lost pages fail; a memfd of our own cannot be truncated.
class SharedMemory final : public Backing {
 public:
  // A new memfd of `length` bytes of zeros (rounded up to the host's page), which others can be given.
  // EINVAL: the length is 0; else the errno of memfd_create(2), ftruncate(2) and mmap(2).
  static Result<std::unique_ptr<SharedMemory>> create(HostAddressSpace& space, std::uint64_t length);

  // `length` bytes of a file from `offset` on, a multiple of the host's page. The descriptor stays the caller's.
  // EINVAL: also if the file is shorter; else the errors of HostAddressSpace::map_shared().
  static Result<std::unique_ptr<SharedMemory>> map(HostAddressSpace& space, int descriptor, std::uint64_t offset,
                                                   std::uint64_t length, bool writable);
  ~SharedMemory() override;
  [[nodiscard]] bool in_place() const override { return true; }

  // The memfd that create() made, owned by this object; -1 after map().
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  using Backing::Backing;
  int descriptor_ = -1;
};

}  // namespace swiommu
