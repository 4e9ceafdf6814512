// The handler that the program has for SIGSEGV, while ours comes first.
#pragma once
#include <csignal>

namespace swiommu::run {

// Is ours installed? Then the C library's functions must not be asked about SIGSEGV.
[[nodiscard]] bool faults_are_caught();
// As sigaction(2); either may be nullptr.
void exchange_program_handler(struct sigaction const* now, struct sigaction* before);

namespace detail {
// What the program had when ours was installed.
void catch_faults(struct sigaction const& before);
}  // namespace detail

// What happens to a signal that is not for us. Inside our handler, in which all signals are blocked.
void pass_to_program(int signal, siginfo_t* information, void* context);

}  // namespace swiommu::run
