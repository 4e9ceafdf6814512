#include "bench/machine.h"

#include <sys/utsname.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench/failure.h"
#include "swiommu/memory/table_allocator.h"

namespace swiommu::bench {

namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (auto const colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  utsname system{};
  return ::uname(&system) == 0 ? system.machine : "unknown";
}

std::string now_in_words() {
  std::time_t const now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts)};
}

// Is the mapping that holds `data` marked for huge pages (VmFlags hg, see proc(5))?
bool is_marked_huge(void const* data) {
  auto const address = reinterpret_cast<std::uintptr_t>(data);
  std::ifstream file("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uintptr_t start = 0, end = 0;
    char dash = 0;
    if (words >> std::hex >> start >> dash >> end && dash == '-') here = start <= address && address < end;
    if (here && line.starts_with("VmFlags:")) return (line + " ").find(" hg ") != std::string::npos;
  }
  return false;
}

}  // namespace

bool tables_ask_for_huge_pages() {
  static bool const asked = [] {
    auto const tables = needed(TableAllocator::create());
    return is_marked_huge(tables->pointer(needed(tables->allocate(21))));
  }();
  return asked;
}

Machine this_machine() {
  Machine machine{.processor = processor_name(), .processors = std::max(1u, std::thread::hardware_concurrency())};
  utsname system{};
  if (::uname(&system) == 0) machine.kernel = std::string(system.sysname) + " " + system.release;
#ifdef __clang__
  machine.compiler = "clang " __clang_version__;
#else
  machine.compiler = "g++ " __VERSION__;
#endif
#ifndef __OPTIMIZE__
  machine.optimised = false;
#endif
  machine.date = now_in_words();
  machine.huge_pages_for_tables = tables_ask_for_huge_pages();
  return machine;
}

}  // namespace swiommu::bench
