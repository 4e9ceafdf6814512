// Bad input: one line on standard error that names what is bad, status 2, nothing on standard output.
#include <algorithm>

#include "run_program.h"

namespace swiommu {
namespace {

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments first, Arguments const& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

void expect_refused(Arguments const& arguments, std::string const& named) {
  std::string command;
  for (std::string const& argument : arguments) command += " '" + argument + "'";
  SCOPED_TRACE(command);
  auto const run = run_program(arguments);
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_TRUE(run.err.starts_with("swiommu: ")) << run.err;
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  EXPECT_TRUE(run.err.ends_with('\n'));
  EXPECT_NE(run.err.find(named), std::string::npos) << "no '" << named << "' in: " << run.err;
}

Arguments const of_case{"translate", "--case", corpus("vtd-fs-igb")};
Arguments const of_memory{"translate", "--memory", corpus("vtd-fs-igb/memory.elf.zst"), "0x1000"};
Arguments const of_table = of_memory + Arguments{"--format", "x86-64"};
Arguments const of_root = of_table + Arguments{"--root", "0x14115f000"};

TEST(ProgramInput, RefusesArgumentsThatMakeNoSense) {
  expect_refused({}, "translate, dump, demo");
  expect_refused({"frobnicate"}, "'frobnicate'");
  expect_refused({""}, "''");
  expect_refused({"--frobnicate"}, "'--frobnicate'");
  expect_refused({"trnslate"}, "did you mean translate?");
  expect_refused({"fromats"}, "did you mean formats?");
  expect_refused({"dum"}, "did you mean dump?");
  expect_refused(of_case + Arguments{"0x1000", "--frobnicate"}, "'--frobnicate'");
  expect_refused(of_case + Arguments{"0x1000", "--jsno"}, "did you mean --json?");
  expect_refused(of_case + Arguments{"0x1000", "--regster=A=1"}, "did you mean --register?");
  expect_refused(of_case, "IOVA");
  expect_refused({"translate", "0x1000"}, "--case");
  expect_refused({"translate", "--case"}, "--case");
  expect_refused({"formats", "all"}, "'all'");
  expect_refused({"translate", "--json=maybe", "0x1000"}, "maybe");
}

TEST(ProgramInput, RefusesIovasThatAreNone) {
  for (char const* const iova : {"0x", "zz", "0x1ffffffffffffffff", "", "-1", "0x1000:x", "0x1000:", "0x1000:rw", "+1", " 1",
                                 "1 ", "0x-1", "18446744073709551616", "1e3", "0x1000:r:w"})
    expect_refused(of_case + Arguments{"0x1000", iova}, std::string("'") + iova);
  expect_refused(of_case + Arguments{":r"}, "''");
}

TEST(ProgramInput, RefusesOptionsThatWouldNotBeLookedAt) {
  expect_refused(of_case + Arguments{"0x1000", "--memory", "core"}, "--memory");
  expect_refused(of_case + Arguments{"0x1000", "--root", "0x1000"}, "--root");
  expect_refused(of_case + Arguments{"0x1000", "--byte-order", "big"}, "--byte-order");
  expect_refused(of_case + Arguments{"0x1000", "--register", "RTADDR=1"}, "--register");
  expect_refused(of_root + Arguments{"--iommu", "vtd"}, "--format and --root, or --iommu");
  expect_refused(of_root + Arguments{"--device", "1"}, "--device");
  expect_refused(of_root + Arguments{"--pasid", "1"}, "--pasid");
  expect_refused(of_root + Arguments{"--input-bits", "40"}, "--input-bits");
  expect_refused(of_memory + Arguments{"--iommu", "vtd", "--register", "RTADDR=1", "--device", "1", "--levels", "4"}, "--levels");
}

TEST(ProgramInput, RefusesTablesThatCannotBe) {
  expect_refused(of_memory, "--format");
  expect_refused(of_memory + Arguments{"--format", "x87", "--root", "0x1000"}, "'x87'");
  expect_refused(of_table, "--root");
  expect_refused(of_table + Arguments{"--root", "zz"}, "'zz'");
  expect_refused(of_table + Arguments{"--root", "0x123000"}, "0x123000");
  expect_refused(of_table + Arguments{"--root", "0xfffffffffffff000"}, "0xfffffffffffff000");
  for (char const* const root : {"0x14115f001", "0x14115f008", "0x14115f800"})
    expect_refused(of_table + Arguments{"--root", root}, std::string(root) + " of x86-64 is no multiple of 0x1000");
  expect_refused(of_memory + Arguments{"--format", "riscv-sv39x4", "--root", "0x14115f000"}, "0x4000");
  for (char const* const levels : {"0", "3", "6", "-1", "x", "4294967300"})
    expect_refused(of_root + Arguments{"--levels", levels}, levels);
  expect_refused(of_memory + Arguments{"--format", "riscv-sv39", "--root", "0x14115f000", "--levels", "3"}, "riscv-sv39");
  expect_refused(of_root + Arguments{"--output-bits", "99"}, "99");
  expect_refused(of_root + Arguments{"--byte-order", "middle"}, "'middle'");
  expect_refused(of_root + Arguments{"--raw", "zz"}, "'zz'");
  expect_refused({"dump", "--case", corpus("vtd-fs-igb"), "--limit", "-1"}, "'-1'");
}

TEST(ProgramInput, RefusesIommusThatCannotBe) {
  Arguments const vtd = of_memory + Arguments{"--iommu", "vtd"};
  Arguments const device{"--device", "0x20"};
  expect_refused(of_memory + Arguments{"--iommu", "gart"} + device, "'gart'");
  expect_refused(vtd + Arguments{"--register", "RTADDR=0x141143400"}, "--device");
  expect_refused(vtd + device, "RTADDR");
  expect_refused(vtd + device + Arguments{"--register", "RTADDR"}, "'RTADDR'");
  expect_refused(vtd + device + Arguments{"--register", "=5"}, "'=5'");
  expect_refused(vtd + device + Arguments{"--register", "RTADDR=five"}, "'five'");
  expect_refused(vtd + device + Arguments{"--register", "RTADDR="}, "RTADDR");
  expect_refused(vtd + device + Arguments{"--register", "IOTA=5"}, "'IOTA'");
  expect_refused(vtd + device + Arguments{"--register", "RTADDR=5", "--register", "rtaddr=6"}, "RTADDR");
  expect_refused(of_memory + device +
                     Arguments{"--iommu", "smmu", "--register", "STRTAB_BASE=0", "--register", "STRTAB_BASE_CFG=0x100000000"},
                 "STRTAB_BASE_CFG");
  for (char const* const id : {"zz", "0x100000000", "00:20.0", "00:05.8", "00:05", "1:00:00:05.0", "-1"})
    expect_refused(vtd + Arguments{"--register", "RTADDR=5", "--device", id}, id);
  for (char const* const pasid : {"zz", "0x100000"})
    expect_refused(vtd + device + Arguments{"--register", "RTADDR=5", "--pasid", pasid}, pasid);
}

TEST(ProgramInput, RefusesMemoryImagesThatAreNone) {
  ScratchFolder const scratch;
  auto const refuse = [](std::string const& file) {
    for (char const* const command : {"translate", "dump"}) {
      Arguments arguments{command, "--memory", file, "--format", "x86-64", "--root", "0x14115f000"};
      if (arguments.front() == "translate") arguments.push_back("0");
      expect_refused(arguments, file);
    }
  };
  std::string const packed = content_of(corpus("vtd-fs-igb/memory.elf.zst"));
  std::string const elf(
      "\x7f"
      "ELF\2\1\1\0\0\0\0\0\0\0\0\0\4\0\x3e\0\1\0\0\0",
      24);
  refuse(scratch.file("no-elf", "this is text\n"));
  refuse(scratch.file("empty", ""));
  refuse(scratch.file("magic", elf.substr(0, 4)));
  refuse(scratch.file("truncated-header", elf));
  refuse(scratch.file("wild-header", elf + std::string(200, '\xff')));
  refuse(scratch.file("truncated-zstd", packed.substr(0, packed.size() / 2)));
  std::string corrupt = packed;
  for (std::size_t n = corrupt.size() / 3; n < corrupt.size() / 2; n++) corrupt[n] = static_cast<char>(corrupt[n] ^ 0x55);
  refuse(scratch.file("corrupt-zstd", corrupt));
  refuse(scratch.file("zstd-magic", packed.substr(0, 4)));
  refuse((scratch.path() / "missing").string());
  refuse(scratch.path().string());
  refuse("/dev/null");
}

TEST(ProgramInput, RefusesCasesThatAreNone) {
  ScratchFolder const scratch;
  expect_refused({"dump", "--case", (scratch.path() / "missing").string()}, "missing");
  expect_refused({"dump", "--case", scratch.path().string()}, "case.json");
  expect_refused({"demo", "--case", scratch.path().string()}, "case.json");
  struct Broken {
    char const* json;
    char const* named;
  };
  std::string const deep = std::string(200000, '[');
  for (Broken const& broken : std::initializer_list<Broken>{
           {"", "case.json"},
           {"not JSON", "case.json"},
           {"{\"iommu\": \"vtd\"", "case.json"},
           {"{\"iommu\":\n\n \"vtd\" \n\n ??", "case.json"},
           {deep.c_str(), "case.json"},
           {"[]", "case.json"},
           {"null", "case.json"},
           {"{}", "\"iommu\""},
           {R"({"iommu": 5, "registers": {}})", "\"iommu\" is 5"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}})", "\"device\" is missing"},
           {R"({"iommu": "vtd"})", "\"registers\""},
           {R"({"iommu": "vtd", "registers": []})", "\"registers\""},
           {R"({"iommu": "vtd", "registers": {"RTADDR": []}})", "RTADDR"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": -1}})", "RTADDR"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1.5}})", "RTADDR"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": "zz"}})", "'zz'"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": "0x1\n0"}})", "RTADDR"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1, "rtaddr": 1}})", "rtaddr"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}, "device": 5})", "\"device\""},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}, "device": {}})", "\"id\""},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}, "device": {"id": "0x100000000"}})", "0x100000000"},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}, "device": {"id": []}})", "\"id\""},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}, "device": {"id": "5"}, "byte_order": 1})", "\"byte_order\""},
           {R"({"iommu": "vtd", "registers": {"RTADDR": 1}, "device": {"id": "5"}, "byte_order": "up"})", "\"up\""},
           {R"({"iommu": "gart", "registers": {}, "device": {"id": "5"}})", "gart"},
           {R"({"iommu": "vtd", "registers": {}, "device": {"id": "5"}})", "RTADDR"},
       }) {
    auto const file = scratch.file("broken/case.json", broken.json);
    std::filesystem::copy_file(corpus("vtd-fs-igb/memory.elf.zst"), scratch.path() / "broken/memory.elf.zst",
                               std::filesystem::copy_options::overwrite_existing);
    expect_refused({"translate", "0", "--case", (scratch.path() / "broken").string()}, broken.named);
  }
  std::filesystem::create_directories(scratch.path() / "folder/case.json");
  expect_refused({"dump", "--case", (scratch.path() / "folder").string()}, "case.json: Is a directory");
  auto const whole = content_of(corpus("vtd-fs-igb/case.json"));
  (void)scratch.file("no-memory/case.json", whole);
  expect_refused({"dump", "--case", (scratch.path() / "no-memory").string()}, "memory.elf");
}

}  // namespace
}  // namespace swiommu
