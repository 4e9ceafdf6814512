// Makes the system bring pages in, and say whether they are there.
#pragma once
#include <cstddef>
#include <cstdint>

namespace swiommu {

// 0, or EFAULT: not all of the range is mapped with the rights that are wanted, or it cannot be brought in (a mapping beyond
// the end of its file); or ENOMEM: the system is out of memory. Contents do not change, whoever writes meanwhile.
// `data` and `length` are multiples of 4 KiB.
int fault_in(std::byte* data, std::uint64_t length, bool writable);

}  // namespace swiommu
