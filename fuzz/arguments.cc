// Any text where the command line and case.json take numbers, addresses, registers and names.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz_input.h"
#include "profile/format_names.h"
#include "tools/case_folder.h"
#include "tools/iommu_kinds.h"
#include "tools/numbers.h"

using namespace swiommu;

namespace {

// A folder for case.json that goes when the fuzzer ends.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "swiommu-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
    std::ofstream(path / "memory.elf") << "";
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

// A value, or an error in words.
template <class T>
bool sensible(Result<T> const& result) {
  return result || (result.error().code != 0 && !result.error().about.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static Folder const folder;
  FuzzInput input(data, size);
  unsigned const what = input.below(6);
  std::string const text(reinterpret_cast<char const*>(input.rest().data()), input.rest().size());
  switch (what) {
    case 0: {
      auto const request = tools::parse_request(text);
      require(sensible(request));
      if (request) require(tools::parse_request(tools::hex(request->iova))->iova == request->iova);
      break;
    }
    case 1: require(sensible(tools::parse_device(text))); break;
    case 2: require(sensible(tools::parse_number(text, "it"))); break;
    case 3: {
      tools::RegisterValues registers;
      auto const added = tools::add_register(registers, text);
      require(sensible(added) && registers.size() == (added ? 1 : 0));
      break;
    }
    case 4: require(sensible(find_format(text))); break;
    default: std::ofstream(folder.path / "case.json", std::ios::binary) << text; require(sensible(tools::read_case(folder.path)));
  }
  return 0;
}
