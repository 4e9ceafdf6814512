// A QEMU without a processor (-accel qtest), whose bus this process drives, and whose RAM is a file that it shares.
//
// The protocol is lines of text over a socket, answered one by one and in order. Commands are collected, and sent all at once.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "swiommu/base/range.h"

namespace swiommu::oracle {

struct Machine {
  std::string architecture;            // as in qemu-system-ARCHITECTURE
  std::vector<std::string> arguments;  // the machine and its devices
  Range ram;                           // what its RAM occupies
};

// QEMU is gone: most likely it has met one of its assertions.
struct QemuEnded : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Qemu {
 public:
  // `folder` holds Debian's packages, unpacked, and gets the file qemu.log. Throws std::runtime_error if QEMU does not start.
  Qemu(std::filesystem::path const& folder, Machine const& machine);
  ~Qemu();
  Qemu(Qemu const&) = delete;
  Qemu& operator=(Qemu const&) = delete;

  // The bytes of RAM, from its first address on.
  [[nodiscard]] std::byte* ram() const { return ram_; }
  [[nodiscard]] std::byte* at(std::uint64_t address) const { return ram_ + (address - machine_.ram.start); }

  void write32(std::uint64_t address, std::uint32_t value) { command("writel", address, value); }
  void write64(std::uint64_t address, std::uint64_t value) { command("writeq", address, value); }
  void write_port32(std::uint16_t port, std::uint32_t value) { command("outl", port, value); }
  void step_clock(std::uint64_t nanoseconds);

  // What is asked for is in the answers of run(), in the same order.
  void ask32(std::uint64_t address) { ask("readl", address); }
  void ask64(std::uint64_t address) { ask("readq", address); }

  // Sends what was collected. Throws QemuEnded, and std::runtime_error if QEMU refuses a command or does not answer.
  std::vector<std::uint64_t> run();

 private:
  void command(char const* name, std::uint64_t address, std::uint64_t value);
  void ask(char const* name, std::uint64_t address);
  std::string receive_line();
  [[noreturn]] void ended() const;

  Machine machine_;
  std::string log_;
  std::byte* ram_ = nullptr;
  pid_t process_ = -1;
  int socket_ = -1;
  std::string commands_;
  std::vector<bool> asked_;  // for each command: is its answer wanted?
  std::string received_;
  std::size_t consumed_ = 0;
};

}  // namespace swiommu::oracle
