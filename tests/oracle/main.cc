// swiommu_oracle: libswiommu against QEMU's IOMMUs; see ./dev oracle.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "oracle/all_hardware.h"
#include "oracle/comparison_run.h"

namespace {

using namespace swiommu::oracle;

void print(Hardware& hardware, Tally const& tally, double seconds) {
  std::uint64_t known = 0;
  for (auto const& [name, count] : tally.known) known += count;
  fmt::print("{:36} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11}  {:.0f} s\n", hardware.name(), tally.cases, tally.given_up,
             tally.probes, tally.arrived, tally.blocked, known, tally.unexplained, seconds);
  for (std::string const& report : tally.reports) fmt::print("{}\n", report);
  for (auto const& [name, count] : tally.known)
    for (Deviation const& deviation : hardware.deviations())
      if (deviation.name == name) fmt::print("    {} x {}: {}\n", count, name, deviation.manual);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path qemu;
  std::uint64_t cases = 10000, seed = 0, first = 0;
  std::vector<std::string> names;
  CLI::App app("libswiommu against the IOMMUs of QEMU: random structures, the same DMA, the same result");
  app.add_option("--qemu", qemu, "folder with Debian's packages, unpacked")->required();
  app.add_option("--cases", cases, "of each hardware");
  app.add_option("--seed", seed, "where random numbers start");
  app.add_option("--case", first, "number of the first case");
  app.add_option("hardware", names, "only hardware whose name contains one of these");
  CLI11_PARSE(app, argc, argv);
  try {
    fmt::print("{:36} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>11}\n", "hardware", "cases", "given up", "DMAs", "arrived",
               "blocked", "known dev.", "unexplained");
    std::uint64_t unexplained = 0;
    unsigned ran = 0;
    for (auto const& hardware : all_hardware()) {
      bool wanted = names.empty();
      for (auto const& name : names) wanted = wanted || hardware->name().find(name) != std::string_view::npos;
      if (!wanted) continue;
      auto const start = std::chrono::steady_clock::now();
      Tally const tally = run_comparison(qemu, *hardware, cases, seed, first);
      print(*hardware, tally, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      unexplained += tally.unexplained;
      ran++;
    }
    if (ran == 0) {
      fmt::print(stderr, "swiommu_oracle: no hardware has such a name\n");
      return 2;
    }
    return unexplained == 0 ? 0 : 1;
  } catch (std::exception const& error) {
    fmt::print(stderr, "swiommu_oracle: {}\n", error.what());
    return 2;
  }
}
