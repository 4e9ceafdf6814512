// A guest with a zPCI function: memory, a paging domain that maps it, and I/O translation tables as Linux writes them. What is
// here knows nothing of page_table/: words are put together by hand.
#pragma once
#include <bit>
#include <map>
#include <vector>

#include "nesting/host_memory.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/hardware/zpci_guest_function.h"

namespace swiommu::zpci {

// A table in three levels: region-third, segment, page.
class Guest {
 public:
  static constexpr std::uint64_t page = 0x1000;
  static constexpr std::uint64_t data_size = 0x400000;  // guest addresses [0, data_size) hold data
  static constexpr std::uint64_t size = 3 * data_size;  // tables behind
  static constexpr std::uint64_t host_base = 0x7000000;
  static constexpr std::uint64_t dma_start = 0x100000000;  // first iova of the function
  static constexpr std::uint64_t region_empty = 0x20, page_empty = 0x400, protect = 0x200;

  Guest() : parent(*PagingDomain::create(host, {.format = FormatName::vtd_second_stage})) {
    EXPECT_TRUE(parent->map({0, size - 1}, HostAddress(host_base), {.access = Access::both()}));
  }

  // Words of guest memory, in the order of bytes that s390 has.
  [[nodiscard]] std::uint64_t get(std::uint64_t address) const {
    return __builtin_bswap64(__atomic_load_n(&memory->word(host_base + address), __ATOMIC_RELAXED));
  }
  void put(std::uint64_t address, std::uint64_t word) const {
    __atomic_store_n(&memory->word(host_base + address), __builtin_bswap64(word), __ATOMIC_RELEASE);
  }
  // Bytes of data as they are.
  [[nodiscard]] std::uint64_t& data(std::uint64_t address) const { return memory->word(host_base + address); }

  // An empty region or segment table, or page table.
  std::uint64_t new_table() { return new_table(large_tables_, 0x4000, region_empty); }
  std::uint64_t new_page_table() { return new_table(page_tables_, 0x800, page_empty); }

  // Maps one page; makes the tables that are missing.
  void map(std::uint64_t root, std::uint64_t iova, std::uint64_t to, bool writable = true) {
    std::uint64_t const region = root + (iova >> 31 & 0x7ff) * 8;
    if ((get(region) & region_empty) != 0) put(region, new_table() | 0x7);
    std::uint64_t const segment = (get(region) & ~std::uint64_t{0x3fff}) + (iova >> 20 & 0x7ff) * 8;
    if ((get(segment) & region_empty) != 0) put(segment, new_page_table());
    put(entry(root, iova), to | (writable ? 0 : protect));
  }
  void unmap(std::uint64_t root, std::uint64_t iova) {
    if (std::uint64_t const at = entry(root, iova)) put(at, page_empty);
  }
  // Where the word of the page is; 0 if there is no table for it.
  [[nodiscard]] std::uint64_t entry(std::uint64_t root, std::uint64_t iova) const {
    std::uint64_t const region = get(root + (iova >> 31 & 0x7ff) * 8);
    if ((region & region_empty) != 0) return 0;
    std::uint64_t const segment = get((region & ~std::uint64_t{0x3fff}) + (iova >> 20 & 0x7ff) * 8);
    return (segment & region_empty) != 0 ? 0 : (segment & ~std::uint64_t{0x7ff}) + (iova >> 12 & 0xff) * 8;
  }
  // Takes away the page table of this megabyte. It is used again, for something else, once release() says that nobody reads it.
  void unmap_segment(std::uint64_t root, std::uint64_t iova) {
    std::uint64_t const at = entry(root, iova);
    if (at == 0) return;
    std::uint64_t const region = get(root + (iova >> 31 & 0x7ff) * 8);
    put((region & ~std::uint64_t{0x3fff}) + (iova >> 20 & 0x7ff) * 8, region_empty);
    waiting_.push_back(at & ~std::uint64_t{0x7ff});
  }
  // Takes away everything; the same.
  void drop(std::uint64_t root) {
    for (std::uint64_t region = root; region < root + 0x4000; region += 8) {
      if ((get(region) & region_empty) != 0) continue;
      std::uint64_t const segments = get(region) & ~std::uint64_t{0x3fff};
      for (std::uint64_t segment = segments; segment < segments + 0x4000; segment += 8)
        if ((get(segment) & region_empty) == 0) waiting_.push_back(get(segment) & ~std::uint64_t{0x7ff});
      waiting_large_.push_back(segments);
    }
    waiting_large_.push_back(root);
  }
  void release() {
    page_tables_.insert(page_tables_.end(), waiting_.begin(), waiting_.end());
    large_tables_.insert(large_tables_.end(), waiting_large_.begin(), waiting_large_.end());
    waiting_.clear();
    waiting_large_.clear();
  }

  static std::uint64_t anchor(std::uint64_t root, unsigned designation = 1) { return root | 0x800 | designation << 2; }
  static Fib fib(std::uint64_t iota, Range iovas = {dma_start, low_bits(42)}) {
    return {.pba = __builtin_bswap64(iovas.start), .pal = __builtin_bswap64(iovas.last), .iota = __builtin_bswap64(iota)};
  }

  std::shared_ptr<nesting::HostMemory> const memory = std::make_shared<nesting::HostMemory>(host_base, size);
  Host const host = *Host::create(memory);
  std::shared_ptr<PagingDomain> const parent;

 private:
  std::uint64_t new_table(std::vector<std::uint64_t>& free, std::uint64_t bytes, std::uint64_t fill) {
    std::uint64_t table = 0;
    if (free.empty()) {
      table = next_ = (next_ + bytes - 1) & ~(bytes - 1);
      next_ += bytes;
      EXPECT_LE(next_, size) << "the guest has no more memory for tables";
    } else {
      table = free.back();
      free.pop_back();
    }
    for (std::uint64_t at = table; at < table + bytes; at += 8) put(at, fill);
    return table;
  }

  std::uint64_t next_ = data_size;
  std::vector<std::uint64_t> large_tables_, page_tables_, waiting_, waiting_large_;
};

}  // namespace swiommu::zpci
