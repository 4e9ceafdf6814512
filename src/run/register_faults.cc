#include "run/register_faults.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "run/acting_registers.h"
#include "run/call_log.h"
#include "run/file_mappings.h"
#include "run/futex_lock.h"
#include "run/kernel_call.h"
#include "run/program_handler.h"
#include "run/x86_instruction.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"
#include "swiommu/memory/safe_copy.h"

#if defined(__x86_64__)

// Where the kernel returns to from a handler: it asks for a function that calls rt_sigreturn. Who unwinds stacks knows it by just
// these bytes, and looks at the one before as well.
asm(R"(
  .text
  nop
  .type swiommu_run_return, @function
swiommu_run_return:
  movq $15, %rax
  syscall
)");
extern "C" __attribute__((visibility("hidden"))) void swiommu_run_return();

namespace swiommu::run {
namespace {

// Registers where the program has them, and its memory elsewhere: one instruction may access both.
class ProgramMemory final : public MemoryOperand {
 public:
  bool read(std::uint64_t address, std::span<std::byte> to) override {
    auto const found = file_mappings().acting_at(address);
    if (!found) return copy_from_doubtful(std::bit_cast<void const*>(address), to);
    if ((found->protection & (PROT_READ | PROT_WRITE)) == 0) return false;  // what can be written can be read
    found->acting->read(found->offset, to);
    return true;
  }
  bool write(std::uint64_t address, std::span<std::byte const> from) override {
    auto const found = file_mappings().acting_at(address);
    if (!found) return copy_to_doubtful(std::bit_cast<void*>(address), from);
    if ((found->protection & PROT_WRITE) == 0) return false;
    found->acting->write(found->offset, from);
    return true;
  }
};

// By the numbers of instructions.
constexpr std::array names{REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                           REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

X86Registers registers_of(mcontext_t const& machine) {
  X86Registers registers;
  for (std::size_t n = 0; n < names.size(); n++) registers.general[n] = static_cast<std::uint64_t>(machine.gregs[names[n]]);
  registers.instruction = static_cast<std::uint64_t>(machine.gregs[REG_RIP]);
  registers.flags = static_cast<std::uint64_t>(machine.gregs[REG_EFL]);
  return registers;
}

void put(X86Registers const& registers, mcontext_t& machine) {
  for (std::size_t n = 0; n < names.size(); n++) machine.gregs[names[n]] = static_cast<greg_t>(registers.general[n]);
  machine.gregs[REG_RIP] = static_cast<greg_t>(registers.instruction);
  machine.gregs[REG_EFL] = static_cast<greg_t>(registers.flags);
}

// The program's code ends at the end of a page, perhaps.
std::optional<X86Instruction> instruction_at(std::uint64_t address) {
  std::array<std::byte, 15> code;
  auto const* const from = std::bit_cast<void const*>(address);
  if (copy_from_doubtful(from, code)) return decode_x86(code);
  std::size_t const here = align_down(address, host_page_lg2) + host_page_size - address;
  auto const part = std::span(code).first(std::min(here, code.size()));
  return copy_from_doubtful(from, part) ? decode_x86(part) : std::nullopt;
}

// False: it is not ours.
bool make_access(siginfo_t const& information, mcontext_t& machine) {
  if (information.si_code != SEGV_ACCERR || !any_file_mappings()) return false;
  auto const address = std::bit_cast<std::uint64_t>(information.si_addr);
  auto const found = file_mappings().acting_at(address);
  if (!found) {
    // Another thread has opened it since: then the access works now.
    constexpr greg_t written = 2;  // of a page fault's error code (volume 3, 4.7)
    int const wanted = (machine.gregs[REG_ERR] & written) != 0 ? PROT_WRITE : PROT_READ | PROT_WRITE;
    return (file_mappings().opened_rights(address) & wanted) != 0;
  }
  if (found->protection == PROT_NONE) return false;
  X86Registers registers = registers_of(machine);
  auto const instruction = instruction_at(registers.instruction);
  if (!instruction) {
    log_line("the instruction at {:#x} is not known: from now on what it accesses is looked at", registers.instruction);
    file_mappings().open(address);
    found->acting->let_go();
    return true;
  }
  ProgramMemory memory;
  if (!execute_x86(*instruction, address, registers, memory)) return false;
  put(registers, machine);
  return true;
}

void on_fault(int signal, siginfo_t* information, void* context) {
  int const kept = errno;
  bool const done = make_access(*information, static_cast<ucontext_t*>(context)->uc_mcontext);
  errno = kept;
  if (!done) pass_to_program(signal, information, context);
}

// As the kernel has it.
struct KernelAction {
  void (*handler)(int, siginfo_t*, void*) = nullptr;
  unsigned long flags = 0;
  void (*restorer)() = nullptr;
  std::uint64_t mask = 0;
};
constexpr unsigned long has_restorer = 0x04000000;

struct sigaction as_program_knows(KernelAction const& action) {
  struct sigaction known{};
  known.sa_sigaction = action.handler;
  known.sa_flags = static_cast<int>(action.flags & ~has_restorer);
  std::memcpy(&known.sa_mask, &action.mask, sizeof action.mask);
  return known;
}

constinit FutexLock installing;

}  // namespace

bool catch_register_faults() {
  std::lock_guard const locked(installing);
  if (faults_are_caught()) return true;
  KernelAction const ours{&on_fault, SA_SIGINFO | SA_ONSTACK | has_restorer, &swiommu_run_return, ~std::uint64_t{0}};
  KernelAction before;
  if (kernel_call(SYS_rt_sigaction, SIGSEGV, &ours, &before, sizeof ours.mask) != 0) return false;
  detail::catch_faults(as_program_knows(before));
  return true;
}

}  // namespace swiommu::run

#else

namespace swiommu::run {
bool catch_register_faults() { return false; }
}  // namespace swiommu::run

#endif
