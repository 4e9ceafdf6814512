// The `swiommu` program.
#include <csignal>

#include "tools/subcommands/command_line.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away makes writing fail, and no more
  return swiommu::tools::run_command_line(argc, argv, SWIOMMU_VERSION);
}
