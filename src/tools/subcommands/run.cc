// swiommu run: an unmodified program finds a /dev/iommu.
#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <string_view>

#include "run/launcher.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {
namespace {

// As a shell has it.
enum LaunchStatus : int { cannot_execute = 126, not_found = 127 };

struct Options {
  run::Launch launch;
};

int run(Options const& o) {
  if (o.launch.command.empty()) return report_bad_input("no program to run: swiommu run -- PROGRAM ARGUMENT...");
  std::signal(SIGPIPE, SIG_DFL);  // the program's, from here on
  Error const error = run::launch(o.launch).error();
  if (error.code == EINVAL) return report_bad_input(error.about);
  if (error.code == ENOEXEC)
    report_bad_input(error.about);
  else
    report_bad_input(error);
  return error.code == ENOENT ? not_found : cannot_execute;
}

}  // namespace

void add_run(CLI::App& program, int& status, std::span<char const* const> words) {
  if (!words.empty() && std::string_view(words.front()) == "--") words = words.subspan(1);
  auto* const command = program.add_subcommand("run", "Run a program that finds a /dev/iommu, without kernel or hardware");
  command->footer(
      "The program speaks to /dev/iommu as on Linux: ioctls, mmap, poll, fork, passing of descriptors. Nothing else changes for\n"
      "it: its signals and its exit status are its own. It must be linked dynamically, against glibc 2.36 or newer.\n"
      "Examples:\n"
      "  swiommu run -- ./program\n"
      "  swiommu run --profile arm-smmuv3 --log calls.txt -- qemu-system-aarch64 ...\n"
      "  swiommu run --log - -- ./program          one line an ioctl on standard error\n"
      "  swiommu run --device nvme:disk.img,size=1G -- ./driver 0000:01:00.0\n"
      "  swiommu run --device nvme:disk.img -- qemu-system-x86_64 -object iommufd,id=i,fd={iommufd} \\\n"
      "      -device vfio-pci,id=d,fd={vfio:0},iommufd=i ...\n"
      "{iommufd} and {vfio:N} in the program's arguments become descriptors of /dev/iommu and of the device files.\n"
      "Exit status: that of the program; 126 it cannot be run this way, 127 there is none, 2 bad input.");
  auto const options = std::make_shared<Options>();
  command->add_option("--profile", options->launch.profile, "Which hardware is there: a name, or a file")->type_name("P");
  command->add_option("--log", options->launch.log, "Write one line an ioctl to a file; - is standard error")->type_name("FILE");
  command
      ->add_option("--device", options->launch.devices, "A PCI device behind the IOMMU, as often as wanted (see swiommu devices)")
      ->type_name("SPEC")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->callback([options, &status, words] {
    options->launch.command.assign(words.begin(), words.end());
    status = run(*options);
  });
}

// Whatever the program's own arguments are, none of them is ours to read.
std::size_t own_arguments(std::span<char const* const> words) {
  if (words.size() < 2 || std::string_view(words[1]) != "run") return words.size();
  for (std::size_t at = 2; at < words.size(); at++) {
    std::string_view const word = words[at];
    if (word == "--" || !word.starts_with("-")) return at;
    if (word == "--profile" || word == "--log" || word == "--device") at++;
  }
  return words.size();
}

}  // namespace swiommu::tools
