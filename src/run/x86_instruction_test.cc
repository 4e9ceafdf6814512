#include "run/x86_instruction.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <random>

// The processor itself says what an instruction does.
#if defined(__x86_64__)

extern "C" std::byte const swiommu_test_before[], swiommu_test_before_end[], swiommu_test_after[], swiommu_test_after_end[];

// To be copied around an instruction: a function that takes the registers from an X86Registers and puts them back, all but rsp.
asm(R"(
  .section .rodata
swiommu_test_before:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  push %rdi
  push 136(%rdi)
  popfq
  mov 0(%rdi), %rax
  mov 8(%rdi), %rcx
  mov 16(%rdi), %rdx
  mov 24(%rdi), %rbx
  mov 40(%rdi), %rbp
  mov 48(%rdi), %rsi
  mov 64(%rdi), %r8
  mov 72(%rdi), %r9
  mov 80(%rdi), %r10
  mov 88(%rdi), %r11
  mov 96(%rdi), %r12
  mov 104(%rdi), %r13
  mov 112(%rdi), %r14
  mov 120(%rdi), %r15
  mov 56(%rdi), %rdi
swiommu_test_before_end:
swiommu_test_after:
  pushfq
  push %rax
  mov 16(%rsp), %rax
  mov %rcx, 8(%rax)
  mov %rdx, 16(%rax)
  mov %rbx, 24(%rax)
  mov %rbp, 40(%rax)
  mov %rsi, 48(%rax)
  mov %rdi, 56(%rax)
  mov %r8, 64(%rax)
  mov %r9, 72(%rax)
  mov %r10, 80(%rax)
  mov %r11, 88(%rax)
  mov %r12, 96(%rax)
  mov %r13, 104(%rax)
  mov %r14, 112(%rax)
  mov %r15, 120(%rax)
  pop %rcx
  mov %rcx, 0(%rax)
  pop %rcx
  mov %rcx, 136(%rax)
  pop %rdi
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  cld
  ret
swiommu_test_after_end:
  .text
)");

namespace swiommu::run {
namespace {

using Bytes = std::array<std::byte, 256>;
using Code = std::vector<std::uint8_t>;

class Processor {
 public:
  Processor()
      : code_(static_cast<std::byte*>(
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  ~Processor() { ::munmap(code_, 4096); }
  Processor(Processor const&) = delete;
  Processor& operator=(Processor const&) = delete;
  void run(Code const& instruction, X86Registers& registers) {
    auto* to = std::copy(swiommu_test_before, swiommu_test_before_end, code_);
    std::memcpy(to, instruction.data(), instruction.size());
    std::copy(swiommu_test_after, swiommu_test_after_end, to + instruction.size());
    std::bit_cast<void (*)(X86Registers*)>(code_)(&registers);
  }

 private:
  std::byte* const code_;
};

// A copy of what the processor works on, at the same addresses.
class Copy final : public MemoryOperand {
 public:
  explicit Copy(Bytes const& of) : start_(std::bit_cast<std::uint64_t>(of.data())), bytes(of) {}
  bool read(std::uint64_t address, std::span<std::byte> to) override {
    std::memcpy(to.data(), bytes.data() + (address - start_), to.size());
    return true;
  }
  bool write(std::uint64_t address, std::span<std::byte const> from) override {
    std::memcpy(bytes.data() + (address - start_), from.data(), from.size());
    return true;
  }

 private:
  std::uint64_t const start_;

 public:
  Bytes bytes;
};

class Refusal final : public MemoryOperand {
 public:
  bool read(std::uint64_t, std::span<std::byte>) override { return false; }
  bool write(std::uint64_t, std::span<std::byte const>) override { return false; }
};

std::span<std::byte const> as_bytes(Code const& code) { return std::as_bytes(std::span(code)); }

class RunX86Instruction : public testing::Test {
 protected:
  std::uint64_t below(std::uint64_t limit) { return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(below(256)); }
  [[nodiscard]] std::uint64_t middle() const { return std::bit_cast<std::uint64_t>(bytes_.data()) + 128; }

  void shuffle() {
    for (auto& each : registers_.general) each = below(2) == 0 ? random_() : below(3) - 1;
    registers_.flags = 0x202 | (random_() & 0x8d5);
    for (auto& each : bytes_) each = std::byte{byte()};
  }
  // Prefixes, and an operand behind rbp, rsi, r12 or r13 with an offset, or behind rbx and an index.
  Code instruction(std::vector<std::uint8_t> const& opcode, std::uint8_t field, bool with_rex) {
    Code code;
    if (below(3) == 0) code.push_back(0x66);
    std::uint8_t const upper = with_rex ? static_cast<std::uint8_t>(below(2)) : 0;
    if (with_rex) code.push_back(0x40 | upper | static_cast<std::uint8_t>(below(4) << 2));
    code.insert(code.end(), opcode.begin(), opcode.end());
    auto const form = static_cast<std::uint8_t>(field << 3);
    auto const offset = static_cast<std::int8_t>(below(64) - 32);
    if (upper == 0 && below(3) == 0) {
      registers_.general[3] = middle() - 4 * 16;
      registers_.general[2] = 16;
      code.insert(code.end(), {static_cast<std::uint8_t>(form | 0x04), 0x93});  // (%rbx,%rdx,4)
    } else {
      std::uint8_t const base = below(2) == 0 ? 5 : 6;
      registers_.general[base + 8 * upper] = middle() - static_cast<std::uint64_t>(std::int64_t{offset});
      if (below(2) == 0) {
        code.insert(code.end(), {static_cast<std::uint8_t>(form | 0x40 | base), static_cast<std::uint8_t>(offset)});
      } else {
        code.push_back(static_cast<std::uint8_t>(form | 0x80 | base));
        for (unsigned n = 0; n < 4; n++) code.push_back(n == 0 ? static_cast<std::uint8_t>(offset) : offset < 0 ? 0xff : 0);
      }
    }
    return code;
  }
  void compare(Code code, bool adjust_flag_is_open) {
    auto const decoded = decode_x86(as_bytes(code));
    ASSERT_TRUE(decoded) << "opcode " << testing::PrintToString(code);
    ASSERT_EQ(decoded->length, code.size()) << testing::PrintToString(code);
    X86Registers expected = registers_, found = registers_;
    Copy copy(bytes_);
    ASSERT_TRUE(execute_x86(*decoded, middle(), found, copy));
    processor_.run(code, expected);
    expected.instruction += code.size();
    std::uint64_t const ignored = adjust_flag_is_open ? 0x10 : 0;
    EXPECT_EQ(found.general, expected.general) << testing::PrintToString(code);
    EXPECT_EQ(found.flags & ~ignored, expected.flags & ~ignored) << testing::PrintToString(code);
    EXPECT_EQ(found.instruction, expected.instruction);
    EXPECT_EQ(copy.bytes, bytes_) << testing::PrintToString(code);
  }
  // Each register, prefix and place of the operand, many times.
  void compare_all(std::vector<std::uint8_t> const& opcode, unsigned first_field = 0, unsigned fields = 8, unsigned immediate = 0,
                   bool adjust_flag_is_open = false) {
    for (unsigned round = 0; round < 400 && !HasFailure(); round++) {
      shuffle();
      bool const with_rex = below(2) == 0;
      std::uint64_t field = first_field + below(fields);
      // without REX, 4 is rsp, or ah; with it, rsp or r12: rsp is the processor's stack here
      bool const byte_register = (opcode.back() & 1) == 0 && opcode.front() != 0x0f && opcode.front() != 0x63;
      if (fields == 8 && field == 4 && (with_rex || !byte_register)) field = 3;
      Code code = instruction(opcode, static_cast<std::uint8_t>(field), with_rex);
      std::uint8_t const rex = with_rex ? code[code.front() == 0x66 ? 1 : 0] : 0;
      unsigned const wide = (rex & 8) != 0 ? 4 : code.front() == 0x66 ? 2 : 4;
      for (unsigned n = 0; n < (immediate == 4 ? wide : immediate); n++) code.push_back(byte());
      compare(std::move(code), adjust_flag_is_open);
    }
  }

  std::mt19937_64 random_{1};
  alignas(64) Bytes bytes_{};
  X86Registers registers_;
  Processor processor_;
};

TEST_F(RunX86Instruction, MovesAreAsTheProcessorMakesThem) {
  for (std::uint8_t const opcode : {0x88, 0x89, 0x8a, 0x8b, 0x86, 0x87}) compare_all({opcode});
  for (std::uint8_t const opcode : {0xb6, 0xb7, 0xbe, 0xbf}) compare_all({0x0f, opcode});
  compare_all({0xc6}, 0, 1, 1);
  compare_all({0xc7}, 0, 1, 4);
}

TEST_F(RunX86Instruction, CalculationsAreAsTheProcessorMakesThem) {
  for (unsigned operation = 0; operation < 8; operation++) {
    bool const logical = operation == 1 || operation == 4 || operation == 6;
    for (unsigned form = 0; form < 4; form++) compare_all({static_cast<std::uint8_t>(operation << 3 | form)}, 0, 8, 0, logical);
    compare_all({0x80}, operation, 1, 1, logical);
    compare_all({0x81}, operation, 1, 4, logical);
    compare_all({0x83}, operation, 1, 1, logical);
  }
  for (std::uint8_t const opcode : {0x84, 0x85}) compare_all({opcode}, 0, 8, 0, true);
  compare_all({0xf6}, 0, 1, 1, true);
  compare_all({0xf7}, 0, 1, 4, true);
  for (std::uint8_t const opcode : {0xf6, 0xf7}) compare_all({opcode}, 2, 2);  // not, neg
  for (std::uint8_t const opcode : {0xfe, 0xff}) compare_all({opcode}, 0, 2);  // inc, dec
}

TEST_F(RunX86Instruction, StringsAreDoneElementByElement) {
  for (std::uint8_t const opcode : {0xa4, 0xa5, 0xaa, 0xab})
    for (bool const repeated : {false, true}) {
      shuffle();
      registers_.instruction = 0;
      registers_.general[1] = 3;
      registers_.general[6] = middle() - 64;
      registers_.general[7] = middle();
      Code const code = repeated ? Code{0xf3, opcode} : Code{opcode};
      X86Registers expected = registers_;
      Copy copy(bytes_);
      auto const decoded = decode_x86(as_bytes(code));
      ASSERT_TRUE(decoded);
      unsigned elements = 0;
      for (; registers_.instruction == 0; elements++) ASSERT_TRUE(execute_x86(*decoded, registers_.general[7], registers_, copy));
      EXPECT_EQ(elements, repeated ? 3u : 1u);
      processor_.run(code, expected);
      EXPECT_EQ(registers_.general, expected.general);
      EXPECT_EQ(copy.bytes, bytes_);
    }
}

TEST_F(RunX86Instruction, WhatIsRefusedChangesNothing) {
  shuffle();
  Refusal refusal;
  for (Code const& code : {Code{0x8b, 0x06}, Code{0x89, 0x06}, Code{0x01, 0x06}, Code{0x87, 0x06}, Code{0xf3, 0xa4}}) {
    auto const decoded = decode_x86(as_bytes(code));
    ASSERT_TRUE(decoded);
    X86Registers found = registers_;
    EXPECT_FALSE(execute_x86(*decoded, middle(), found, refusal));
    EXPECT_EQ(found.general, registers_.general);
    EXPECT_EQ(found.instruction, registers_.instruction);
  }
}

TEST_F(RunX86Instruction, WhatIsNoneOfThemIsNotTakenForOne) {
  Code const mov_with_registers{0x89, 0xd8}, vector_move{0xc5, 0xfe, 0x6f, 0x06}, sse{0x0f, 0x10, 0x06}, call{0xff, 0x16},
      division{0xf7, 0x36}, compare_exchange{0xf0, 0x0f, 0xb1, 0x0e};
  for (Code const& code : {mov_with_registers, vector_move, sse, call, division, compare_exchange})
    EXPECT_FALSE(decode_x86(as_bytes(code))) << testing::PrintToString(code);
}

TEST_F(RunX86Instruction, WhatEndsTooEarlyIsNone) {
  Code const whole{0x66, 0x41, 0xc7, 0x84, 0x24, 0x78, 0x56, 0x34, 0x12, 0x22, 0x11};
  ASSERT_TRUE(decode_x86(as_bytes(whole)));
  for (std::size_t length = 0; length < whole.size(); length++) EXPECT_FALSE(decode_x86(as_bytes(whole).first(length))) << length;
}

TEST_F(RunX86Instruction, AnyBytesAreDecodedOrRefused) {
  for (unsigned round = 0; round < 200'000; round++) {
    Code code(below(16));
    for (auto& each : code) each = byte();
    if (auto const decoded = decode_x86(as_bytes(code))) {
      EXPECT_LE(decoded->length, code.size());
    }
  }
}

}  // namespace
}  // namespace swiommu::run

#endif
