// What the structures of ioctls hold, for the log: one table for each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace swiommu::iommufd {

struct ValueText {
  std::uint64_t value;
  char const* name;
};

enum class FieldForm : std::uint8_t {
  decimal,
  signed_decimal,  // descriptors
  hexadecimal,
  flags,  // names of bits, joined by |
  name,   // of a value
};

enum class FieldUse : std::uint8_t {
  in,
  rare,  // in, not worth a word if 0: reserved fields, and those that only some flag gives a meaning
  out,   // of calls that succeed
  both,  // "before => after" if it has changed
};

struct CallField {
  char const* name;
  std::uint16_t offset;
  std::uint8_t bytes;  // 1, 2, 3 (read as one number), 4 or 8
  FieldForm form = FieldForm::decimal;
  FieldUse use = FieldUse::in;
  std::span<ValueText const> values = {};
};

struct CallShape {
  std::uint32_t request;
  char const* name;
  std::uint16_t bytes;  // of the structure; 0: the argument is a number, not a structure
  std::span<CallField const> fields;
};

std::span<CallShape const> vfio_type1_calls();
CallShape const& selftest_call();
// The native ioctls, those of VFIO type 1, and that of the selftests. Nothing: no such ioctl.
CallShape const* find_call(std::uint32_t request);

// The ioctl of the selftests means something else for each operation: the fields that it has besides. Nothing: no such operation.
inline constexpr std::uint32_t selftest_request = 0x3ba0;
struct TestOperationShape {
  std::uint32_t operation;
  char const* name;
  std::span<CallField const> fields;
};
TestOperationShape const* find_test_operation(std::uint32_t operation);

// VFIO_TYPE1_IOMMU and so on: the numbers that are arguments themselves.
std::span<ValueText const> vfio_extension_names();

}  // namespace swiommu::iommufd
