#include <bit>
#include <cstring>

#include "run/x86_instruction.h"
#include "swiommu/base/bits.h"

namespace swiommu::run {
namespace {

using Operation = X86Instruction::Operation;

// RFLAGS: volume 1, 3.4.3.
namespace flag {
constexpr std::uint64_t carry = 1 << 0, parity = 1 << 2, adjust = 1 << 4, zero = 1 << 6, sign = 1 << 7, direction = 1 << 10,
                        overflow = 1 << 11;
constexpr std::uint64_t status = carry | parity | adjust | zero | sign | overflow;
}  // namespace flag

constexpr unsigned rax = 0, rcx = 1, rsi = 6, rdi = 7;

class Execution {
 public:
  Execution(X86Instruction const& instruction, std::uint64_t address, X86Registers const& before, MemoryOperand& memory)
      : it_(instruction), address_(address), after_(before), memory_(memory) {}

  std::optional<X86Registers> run() {
    bool const done = it_.operation == Operation::string ? string() : it_.operation == Operation::move ? move() : calculation();
    if (!done) return {};
    if (!again_) after_.instruction += it_.length;
    return after_;
  }

 private:
  [[nodiscard]] std::uint64_t mask() const { return low_bits(8 * it_.memory_bytes); }
  [[nodiscard]] std::uint64_t register_value() const {
    return after_.general[it_.register_number] >> (it_.high_byte ? 8 : 0) & mask();
  }
  // Writing 32 bits clears the upper ones, writing fewer leaves all others (volume 1, 3.4.1.1).
  void set_register(std::uint64_t value) {
    std::uint64_t& all = after_.general[it_.register_number];
    if (it_.register_bytes >= 4) {
      all = value & low_bits(8 * it_.register_bytes);
      return;
    }
    unsigned const shift = it_.high_byte ? 8 : 0;
    std::uint64_t const part = low_bits(8 * it_.register_bytes) << shift;
    all = (all & ~part) | (value << shift & part);
  }
  std::optional<std::uint64_t> load(std::uint64_t from) {
    std::uint64_t value = 0;
    if (!memory_.read(from, std::as_writable_bytes(std::span(&value, 1)).first(it_.memory_bytes))) return {};
    return value;
  }
  bool store(std::uint64_t to, std::uint64_t value) {
    return memory_.write(to, std::as_bytes(std::span(&value, 1)).first(it_.memory_bytes));
  }

  bool move() {
    if (!it_.into_register) return store(address_, it_.immediate ? *it_.immediate : register_value());
    auto value = load(address_);
    if (!value) return false;
    unsigned const above = 64 - 8 * it_.memory_bytes;
    if (it_.sign_extended) *value = static_cast<std::uint64_t>(static_cast<std::int64_t>(*value << above) >> above);
    set_register(*value);
    return true;
  }

  bool string() {
    if (it_.repeated && after_.general[rcx] == 0) return true;
    auto const value = it_.from_memory ? load(after_.general[rsi]) : std::optional(after_.general[rax]);
    if (!value || !store(after_.general[rdi], *value)) return false;
    std::uint64_t const step = (after_.flags & flag::direction) != 0 ? 0 - std::uint64_t{it_.memory_bytes} : it_.memory_bytes;
    after_.general[rdi] += step;
    if (it_.from_memory) after_.general[rsi] += step;
    if (it_.repeated) again_ = --after_.general[rcx] != 0;
    return true;
  }

  bool calculation() {
    auto const found = load(address_);
    if (!found) return false;
    std::uint64_t const given = it_.immediate ? *it_.immediate & mask() : register_value();
    if (it_.operation == Operation::exchange) {
      if (!store(address_, given)) return false;
      set_register(*found);
      return true;
    }
    std::uint64_t const result =
        it_.into_register ? calculate(it_.operation, given, *found) : calculate(it_.operation, *found, given);
    if (it_.operation == Operation::compare || it_.operation == Operation::test) return true;
    if (!it_.into_register) return store(address_, result);
    set_register(result);
    return true;
  }

  std::uint64_t calculate(Operation operation, std::uint64_t left, std::uint64_t right) {
    std::uint64_t const carry = after_.flags & flag::carry;
    switch (operation) {
      case Operation::add: return sum(left, right, 0);
      case Operation::adc: return sum(left, right, carry);
      case Operation::sub:
      case Operation::compare: return difference(left, right, 0);
      case Operation::sbb: return difference(left, right, carry);
      case Operation::negate: return difference(0, left, 0);
      case Operation::invert: return ~left & mask();
      case Operation::or_: return logical(left | right);
      case Operation::xor_: return logical(left ^ right);
      default: return logical(left & right);
    }
  }
  [[nodiscard]] bool top(std::uint64_t bits) const { return (bits >> (8 * it_.memory_bytes - 1) & 1) != 0; }
  std::uint64_t sum(std::uint64_t left, std::uint64_t right, std::uint64_t carry) {
    std::uint64_t const result = left + right + carry;
    note(result, top((left & right) | ((left | right) & ~result)), top((left ^ result) & (right ^ result)),
         left ^ right ^ result);
    return result & mask();
  }
  std::uint64_t difference(std::uint64_t left, std::uint64_t right, std::uint64_t carry) {
    std::uint64_t const result = left - right - carry;
    note(result, top((~left & right) | ((~left | right) & result)), top((left ^ right) & (left ^ result)), left ^ right ^ result);
    return result & mask();
  }
  // What the manual leaves open, the adjust flag, is cleared.
  std::uint64_t logical(std::uint64_t result) {
    note(result, false, false, 0);
    return result;
  }
  void note(std::uint64_t result, bool carry, bool overflow, std::uint64_t halves) {
    std::uint64_t const kept = it_.keeps_carry ? flag::carry : 0;
    std::uint64_t now = 0;
    if (carry) now |= flag::carry;
    if (std::popcount(result & 0xff) % 2 == 0) now |= flag::parity;
    if ((halves & 0x10) != 0) now |= flag::adjust;
    if ((result & mask()) == 0) now |= flag::zero;
    if (top(result)) now |= flag::sign;
    if (overflow) now |= flag::overflow;
    after_.flags = (after_.flags & (~flag::status | kept)) | (now & ~kept);
  }

  X86Instruction const& it_;
  std::uint64_t const address_;
  X86Registers after_;
  MemoryOperand& memory_;
  bool again_ = false;
};

}  // namespace

bool execute_x86(X86Instruction const& instruction, std::uint64_t address, X86Registers& registers, MemoryOperand& memory) {
  auto const after = Execution(instruction, address, registers, memory).run();
  if (after) registers = *after;
  return after.has_value();
}

}  // namespace swiommu::run
