// From an ioctl's number to the function that does it, and the rule of extensible structures.
#pragma once
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

#include "iommufd/command.h"

namespace swiommu::iommufd {

struct Operation {
  std::uint32_t request = 0;
  std::uint32_t least = 0;  // bytes that the caller's structure must have
  std::uint32_t size = 0;   // bytes that we know
  // `bytes`: `size` of them, copied in and zero-extended; filled with what is copied back. Mutex of the file held. Gives what the
  // ioctl returns.
  Result<std::uint64_t> (*run)(File& file, Caller& caller, std::span<std::byte> bytes, std::uint64_t address,
                               std::uint32_t user_size) = nullptr;
};

inline constexpr std::size_t largest_structure = 128;

// The row for a function of commands.h, which gives nothing (the ioctl returns 0) or a value. `least`: the end of the last field
// that the caller must have.
template <class Arguments, auto function>
constexpr Operation operation(std::uint32_t request, std::uint32_t least) {
  static_assert(sizeof(Arguments) <= largest_structure);
  return {request, least, sizeof(Arguments),
          [](File& file, Caller& caller, std::span<std::byte> bytes, std::uint64_t address,
             std::uint32_t user_size) -> Result<std::uint64_t> {
            auto& arguments = *std::launder(reinterpret_cast<Arguments*>(bytes.data()));
            auto result = function(Command<Arguments>{file, caller, arguments, address, user_size});
            if constexpr (std::is_same_v<decltype(result), Result<void>>) {
              if (!result) return std::unexpected(std::move(result).error());
              return 0;
            } else {
              return result;
            }
          }};
}

// The native operations, by number.
std::span<Operation const> operations();

// Of a structure of `size` bytes of which `known` have a meaning: E2BIG: the others are not all 0. EFAULT.
Result<void> check_tail(Caller& caller, std::uint64_t address, std::uint32_t known, std::uint32_t size);

// Runs one of `table`, checking in Linux' order: EFAULT: the size cannot be read. ENOTTY: no such operation. EINVAL: the
// structure is too short. E2BIG: it is longer than we know, and what we do not know is not 0. EFAULT.
Result<std::uint64_t> dispatch(std::span<Operation const> table, File& file, Caller& caller, std::uint32_t request,
                               std::uint64_t argument);

}  // namespace swiommu::iommufd
