#include "run/x86_instruction.h"

#include <algorithm>

namespace swiommu::run {
namespace {

using Operation = X86Instruction::Operation;

class Decoder {
 public:
  explicit Decoder(std::span<std::byte const> code) : code_(code.first(std::min<std::size_t>(code.size(), 15))) {}

  std::optional<X86Instruction> decode() {
    prefixes();
    unsigned const opcode = byte();
    bool const known = opcode == 0x0f ? two_bytes(byte()) : one_byte(opcode);
    if (!known || ended_) return {};
    out_.length = at_;
    return out_;
  }

 private:
  unsigned byte() {
    ended_ = ended_ || at_ == code_.size();
    return ended_ ? 0 : std::to_integer<unsigned>(code_[at_++]);
  }
  // Little-endian, sign-extended.
  std::uint64_t number(unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned n = 0; n < bytes; n++) value |= std::uint64_t{byte()} << 8 * n;
    return sign_extend(value, bytes);
  }
  static std::uint64_t sign_extend(std::uint64_t value, unsigned bytes) {
    unsigned const above = 64 - 8 * bytes;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << above) >> above);
  }

  // 2.1.1: legacy prefixes, then REX. What they say of the address has been done by the processor.
  void prefixes() {
    for (;; at_++) {
      if (at_ == code_.size()) return;
      switch (std::to_integer<unsigned>(code_[at_])) {
        case 0x66: size_prefix_ = true; continue;
        case 0xf2:
        case 0xf3: out_.repeated = true; continue;
        case 0x67: short_address_ = true; continue;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0xf0: continue;
        case 0x64:
        case 0x65: other_base_ = true; continue;
        default: break;
      }
      break;
    }
    if ((std::to_integer<unsigned>(code_[at_]) & 0xf0) == 0x40) rex_ = byte();
  }

  [[nodiscard]] unsigned wide() const { return (rex_ & 8) != 0 ? 8 : size_prefix_ ? 2 : 4; }
  void sized(unsigned bytes) { out_.memory_bytes = out_.register_bytes = bytes; }
  // The lowest bit of most opcodes: a byte, or as wide as the prefixes say.
  void sized_by(unsigned opcode) { sized((opcode & 1) != 0 ? wide() : 1); }
  void names_register(unsigned number) {
    out_.register_number = number | (rex_ & 4) << 1;
    if (out_.register_bytes == 1 && rex_ == 0 && number >= 4) {
      out_.high_byte = true;
      out_.register_number = number - 4;
    }
  }
  // 2.1.3: nothing if the operand is a register; else the field `reg`.
  std::optional<unsigned> memory_form() {
    unsigned const form = byte(), mode = form >> 6, base = form & 7;
    if (mode == 3) return {};
    bool const without_base = base == 4 ? (byte() & 7) == 5 : base == 5;
    if (mode != 0 || without_base) number(mode == 1 ? 1 : 4);
    return form >> 3 & 7;
  }
  bool with_register() {
    auto const field = memory_form();
    if (field) names_register(*field);
    return field.has_value();
  }
  void takes_immediate(unsigned bytes) { out_.immediate = number(std::min(bytes, 4U)); }

  bool one_byte(unsigned opcode) {
    if (opcode < 0x40 && (opcode & 7) < 4) {
      out_.operation = static_cast<Operation>(opcode >> 3);
      out_.into_register = (opcode & 2) != 0;
      sized_by(opcode);
      return with_register();
    }
    switch (opcode) {
      case 0x63:  // movsxd
        out_.into_register = out_.sign_extended = true;
        out_.memory_bytes = 4;
        out_.register_bytes = wide();
        return wide() == 8 && with_register();
      case 0x80:
      case 0x81:
      case 0x83: return group_1(opcode);
      case 0x84:
      case 0x85: return plain(Operation::test, opcode);
      case 0x86:
      case 0x87: return plain(Operation::exchange, opcode);
      case 0x8a:
      case 0x8b: out_.into_register = true; [[fallthrough]];
      case 0x88:
      case 0x89: return plain(Operation::move, opcode);
      case 0xa0:
      case 0xa1: out_.into_register = true; [[fallthrough]];
      case 0xa2:
      case 0xa3:
        sized_by(opcode);
        number(short_address_ ? 4 : 8);
        return true;
      case 0xa4:
      case 0xa5: out_.from_memory = true; [[fallthrough]];
      case 0xaa:
      case 0xab:
        out_.operation = Operation::string;
        sized_by(opcode);
        return !short_address_ && !other_base_;  // addresses that the processor has not worked out
      case 0xc6:
      case 0xc7: {
        sized_by(opcode);
        auto const field = memory_form();
        takes_immediate(out_.memory_bytes);
        return field == 0U;
      }
      case 0xf6:
      case 0xf7: return group_3(opcode);
      case 0xfe:
      case 0xff: {  // inc, dec
        sized_by(opcode);
        auto const field = memory_form();
        out_.operation = field == 0U ? Operation::add : Operation::sub;
        out_.immediate = 1;
        out_.keeps_carry = true;
        return field && *field < 2;
      }
      default: return false;
    }
  }
  bool plain(Operation operation, unsigned opcode) {
    out_.operation = operation;
    sized_by(opcode);
    return with_register();
  }
  bool group_1(unsigned opcode) {
    sized_by(opcode);
    auto const field = memory_form();
    takes_immediate(opcode == 0x81 ? out_.memory_bytes : 1);
    if (field) out_.operation = static_cast<Operation>(*field);
    return field.has_value();
  }
  bool group_3(unsigned opcode) {
    sized_by(opcode);
    auto const field = memory_form();
    if (!field || *field > 3) return false;
    out_.operation = *field < 2 ? Operation::test : *field == 2 ? Operation::invert : Operation::negate;
    if (*field < 2) takes_immediate(out_.memory_bytes);
    return true;
  }

  bool two_bytes(unsigned opcode) {
    switch (opcode) {
      case 0xb6:
      case 0xb7:
      case 0xbe:
      case 0xbf:  // movzx, movsx
        out_.into_register = true;
        out_.sign_extended = opcode >= 0xbe;
        out_.memory_bytes = (opcode & 1) != 0 ? 2 : 1;
        out_.register_bytes = wide();
        return with_register();
      case 0xc3:  // movnti
        sized(wide());
        return wide() != 2 && with_register();
      default: return false;
    }
  }

  std::span<std::byte const> const code_;
  X86Instruction out_;
  unsigned at_ = 0, rex_ = 0;
  bool size_prefix_ = false, short_address_ = false, other_base_ = false, ended_ = false;
};

}  // namespace

std::optional<X86Instruction> decode_x86(std::span<std::byte const> code) { return Decoder(code).decode(); }

}  // namespace swiommu::run
