// An instruction of x86-64 that accesses memory once, of those that compilers make of accesses to registers of a device: what it
// does, taken apart, and done. No vector registers, no bit operations.
//
// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: chapter 2 (formats), appendix A (opcodes).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace swiommu::run {

// As instructions number them: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 ...
struct X86Registers {
  std::array<std::uint64_t, 16> general{};
  std::uint64_t instruction = 0, flags = 0;
};

struct X86Instruction {
  // The first eight are as the manual numbers them.
  enum class Operation : std::uint8_t {
    add,
    or_,
    adc,
    sbb,
    and_,
    sub,
    xor_,
    compare,
    test,
    move,
    exchange,
    invert,
    negate,
    string
  };

  Operation operation = Operation::move;
  bool into_register = false;                     // the result, rather than into memory
  bool sign_extended = false;                     // what is moved
  bool keeps_carry = false;                       // inc, dec
  bool high_byte = false;                         // the register is ah, ch, dh or bh
  bool repeated = false;                          // rep
  bool from_memory = false;                       // a string's source is at rsi, not in rax
  unsigned memory_bytes = 0, register_bytes = 0;  // 1, 2, 4 or 8
  unsigned register_number = 0;
  std::optional<std::uint64_t> immediate;  // instead of the register
  unsigned length = 0;
};

// Nothing: it is none of them. `code` begins with the instruction, and may end in it.
[[nodiscard]] std::optional<X86Instruction> decode_x86(std::span<std::byte const> code);

// What an instruction's accesses go to. False: it cannot be accessed.
class MemoryOperand {
 public:
  MemoryOperand() = default;
  MemoryOperand(MemoryOperand const&) = delete;
  MemoryOperand& operator=(MemoryOperand const&) = delete;
  virtual ~MemoryOperand() = default;
  virtual bool read(std::uint64_t address, std::span<std::byte> to) = 0;
  virtual bool write(std::uint64_t address, std::span<std::byte const> from) = 0;
};

// Does it: an operand at `address`; of strings, one element. Then the registers are as the processor would leave them. False: one
// of the accesses was refused, and no register has changed.
[[nodiscard]] bool execute_x86(X86Instruction const& instruction, std::uint64_t address, X86Registers& registers,
                               MemoryOperand& memory);

}  // namespace swiommu::run
