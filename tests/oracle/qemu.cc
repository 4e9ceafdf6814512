#include "oracle/qemu.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace swiommu::oracle {

namespace {

[[noreturn]] void give_up(char const* what) { throw std::system_error(errno, std::generic_category(), what); }

std::vector<std::string> command_line(std::filesystem::path const& folder, Machine const& machine, int ram, int socket) {
  std::string const root = folder / "usr";
  std::vector<std::string> words{
      root + "/lib64/ld-linux-x86-64.so.2",
      "--library-path",
      root + "/lib/x86_64-linux-gnu",
      root + "/bin/qemu-system-" + machine.architecture,
      "-L",
      root + "/share/qemu",
      "-L",
      root + "/share/seabios",
      "-nodefaults",
      "-display",
      "none",
      "-accel",
      "qtest",
      "-qtest-log",
      "none",
      "-chardev",
      fmt::format("socket,id=qtest,fd={}", socket),
      "-qtest",
      "chardev:qtest",
      "-m",
      fmt::format("{}k", machine.ram.length() / 1024),
      "-object",
      fmt::format("memory-backend-file,id=ram,share=on,size={},mem-path=/proc/self/fd/{}", machine.ram.length(), ram)};
  words.insert(words.end(), machine.arguments.begin(), machine.arguments.end());
  return words;
}

}  // namespace

Qemu::Qemu(std::filesystem::path const& folder, Machine const& machine) : machine_(machine), log_(folder / "qemu.log") {
  int const file = memfd_create("ram", 0);
  if (file < 0 || ftruncate(file, static_cast<off_t>(machine.ram.length())) != 0) give_up("memory for the RAM of QEMU");
  void* const mapped = mmap(nullptr, machine.ram.length(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) give_up("mapping the RAM of QEMU");
  ram_ = static_cast<std::byte*>(mapped);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) give_up("socketpair");
  socket_ = pair[0];

  auto words = command_line(folder, machine, file, pair[1]);
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string const modules = folder / "usr/lib/x86_64-linux-gnu/qemu", log = log_;
  process_ = fork();
  if (process_ < 0) give_up("fork");
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(pair[0]);
    // what it has to say about the guest's mistakes is not news
    if (int const said = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644); said >= 0)
      for (int const stream : {STDOUT_FILENO, STDERR_FILENO}) dup2(said, stream);
    setenv("QEMU_MODULE_DIR", modules.c_str(), 1);  // where -accel qtest is
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(pair[1]);
  close(file);
}

Qemu::~Qemu() {
  if (socket_ >= 0) close(socket_);
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  if (ram_ != nullptr) munmap(ram_, machine_.ram.length());
}

void Qemu::command(char const* name, std::uint64_t address, std::uint64_t value) {
  fmt::format_to(std::back_inserter(commands_), "{} {:#x} {:#x}\n", name, address, value);
  asked_.push_back(false);
}

void Qemu::step_clock(std::uint64_t nanoseconds) {
  fmt::format_to(std::back_inserter(commands_), "clock_step {}\n", nanoseconds);
  asked_.push_back(false);
}

void Qemu::ask(char const* name, std::uint64_t address) {
  fmt::format_to(std::back_inserter(commands_), "{} {:#x}\n", name, address);
  asked_.push_back(true);
}

std::vector<std::uint64_t> Qemu::run() {
  std::vector<std::uint64_t> answers;
  std::size_t sent = 0, answered = 0;
  while (answered < asked_.size()) {
    // Both directions at once: QEMU stops reading while nobody takes its answers.
    pollfd waiting{socket_, static_cast<short>(POLLIN | (sent < commands_.size() ? POLLOUT : 0)), 0};
    if (poll(&waiting, 1, 60'000) <= 0) throw std::runtime_error("QEMU does not answer");
    if ((waiting.revents & POLLOUT) != 0) {
      ssize_t const part = send(socket_, commands_.data() + sent, commands_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (part < 0 && errno != EAGAIN) ended();
      if (part > 0) sent += static_cast<std::size_t>(part);
    }
    if ((waiting.revents & (POLLIN | POLLHUP)) == 0) continue;
    char buffer[65536];
    ssize_t const part = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (part <= 0) ended();
    received_.append(buffer, static_cast<std::size_t>(part));
    for (std::string line = receive_line(); !line.empty(); line = receive_line()) {
      if (line.starts_with("IRQ ")) continue;  // an interrupt was raised; nobody asked
      if (!line.starts_with("OK")) throw std::runtime_error("QEMU refuses a command: " + line);
      if (answered == asked_.size()) throw std::runtime_error("QEMU answers more than it was asked: " + line);
      if (asked_[answered++]) answers.push_back(std::stoull(line.substr(3), nullptr, 0));
    }
  }
  commands_.clear();
  asked_.clear();
  return answers;
}

void Qemu::ended() const { throw QemuEnded("QEMU has ended; " + log_ + " may say why"); }

std::string Qemu::receive_line() {
  std::size_t const end = received_.find('\n', consumed_);
  if (end == std::string::npos) {
    received_.erase(0, consumed_);
    consumed_ = 0;
    return {};
  }
  std::string line = received_.substr(consumed_, end - consumed_);
  consumed_ = end + 1;
  return line;
}

}  // namespace swiommu::oracle
