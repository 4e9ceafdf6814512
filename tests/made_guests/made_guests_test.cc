// The program on guests that nobody has recorded: each table is written here word by word, the answer is known beforehand.
#include <nlohmann/json.hpp>

#include "made_guests/amd.h"
#include "made_guests/case_files.h"
#include "made_guests/riscv.h"
#include "made_guests/s390.h"
#include "made_guests/smmuv3.h"
#include "made_guests/vtd.h"
#include "run_program.h"

namespace swiommu {
namespace {

using Json = nlohmann::ordered_json;

struct Made {
  char const* name;
  std::function<MadeGuest()> make;
};

void PrintTo(Made const& made, std::ostream* out) { *out << made.name; }

class MadeGuests : public testing::TestWithParam<Made> {
 protected:
  void SetUp() override {
    guest = GetParam().make();
    (void)scratch.file("made/memory.elf", elf_core_of(guest));
    (void)scratch.file("made/case.json", case_json_of(guest));
    folder = (scratch.path() / "made").string();
  }

  MadeGuest guest;
  ScratchFolder scratch;
  std::string folder;
};

std::vector<Json> objects_of(std::string const& text) {
  std::vector<Json> objects;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) objects.push_back(Json::parse(line));
  return objects;
}

TEST_P(MadeGuests, AreDumpedAsTheyWereMade) {
  auto const run = run_program({"dump", "--json", "--case", folder});
  EXPECT_EQ(run.status, 0) << run.err;
  std::string expected;
  for (MadeMapping const& m : guest.mappings) {
    Json line;
    line["iova"] = hex_text(m.iova);
    line["last"] = hex_text(m.last);
    line["output"] = hex_text(m.output);
    line["readable"] = m.readable;
    line["writable"] = m.writable;
    line["page_size"] = m.page_size;
    expected += line.dump() + "\n";
  }
  EXPECT_EQ(run.out, expected);
}

TEST_P(MadeGuests, AreTranslatedAtTheEdgesOfEachMapping) {
  std::vector<std::string> arguments{"translate", "--json", "--case", folder};
  struct Expected {
    std::uint64_t iova;
    std::optional<std::uint64_t> output;
  };
  std::vector<Expected> expected;
  auto const ask = [&](std::uint64_t iova, bool write) {
    std::optional<std::uint64_t> output;
    for (MadeMapping const& m : guest.mappings)
      if (m.iova <= iova && iova <= m.last && (write ? m.writable : m.readable)) output = m.output + (iova - m.iova);
    arguments.push_back(hex_text(iova) + (write ? ":w" : ":r"));
    expected.push_back({iova, output});
  };
  for (MadeMapping const& m : guest.mappings)
    for (std::uint64_t const iova : {m.iova - 1, m.iova, m.iova + 0x123, m.last, m.last + 1})
      for (bool const write : {false, true}) ask(iova, write);
  auto const run = run_program(arguments);
  EXPECT_EQ(run.status, 1) << run.err;  // there are faults among them
  auto const lines = objects_of(run.out);
  ASSERT_EQ(lines.size(), expected.size());
  for (std::size_t n = 0; n < lines.size(); n++) {
    SCOPED_TRACE(lines[n].dump());
    EXPECT_EQ(lines[n].contains("fault"), !expected[n].output);
    EXPECT_EQ(lines[n].value("output", ""), expected[n].output ? hex_text(*expected[n].output) : "");
  }
}

TEST_P(MadeGuests, AreDemonstrated) {
  auto const run = run_program({"demo", "--json", "--case", folder});
  EXPECT_EQ(run.status, 0) << run.out << run.err;
  EXPECT_EQ(run.err, "");
}

INSTANTIATE_TEST_SUITE_P(
    All, MadeGuests,
    testing::Values(
        Made{"vtd_39_bits", [] { return made_vtd_legacy(3); }}, Made{"vtd_48_bits", [] { return made_vtd_legacy(4); }},
        Made{"vtd_57_bits", [] { return made_vtd_legacy(5); }},
        Made{"vtd_scalable_39_bits", [] { return made_vtd_scalable_second_stage(3); }},
        Made{"vtd_scalable_48_bits", [] { return made_vtd_scalable_second_stage(4); }},
        Made{"vtd_scalable_57_bits", [] { return made_vtd_scalable_second_stage(5); }},
        Made{"vtd_first_stage_5_levels", [] { return made_vtd_first_stage_5_levels(); }},
        Made{"amd_1_level", [] { return made_amd_v1(1); }}, Made{"amd_2_levels", [] { return made_amd_v1(2); }},
        Made{"amd_3_levels", [] { return made_amd_v1(3); }}, Made{"amd_4_levels", [] { return made_amd_v1(4); }},
        Made{"amd_5_levels", [] { return made_amd_v1(5); }}, Made{"amd_6_levels", [] { return made_amd_v1(6); }},
        Made{"amd_v2_4_levels", [] { return made_amd_v2(4); }}, Made{"amd_v2_5_levels", [] { return made_amd_v2(5); }},
        Made{"smmuv3_4k_39_bits", [] { return made_smmuv3({.input_bits = 39, .levels = 3}); }},
        Made{"smmuv3_4k_36_bit_outputs", [] { return made_smmuv3({.input_bits = 39, .levels = 3, .output_code = 1}); }},
        Made{"smmuv3_4k_big_endian", [] { return made_smmuv3({.big_endian_tables = true}); }},
        Made{"smmuv3_16k_48_bits", [] { return made_smmuv3({.granule_lg2 = 14, .two_level_stream_table = true}); }},
        Made{"smmuv3_16k_47_bits", [] { return made_smmuv3({.granule_lg2 = 14, .input_bits = 47, .levels = 3}); }},
        Made{"smmuv3_16k_36_bits", [] { return made_smmuv3({.granule_lg2 = 14, .input_bits = 36, .levels = 2}); }},
        Made{"smmuv3_64k_42_bits", [] { return made_smmuv3({.granule_lg2 = 16, .input_bits = 42, .levels = 2}); }},
        Made{"smmuv3_64k_48_bits", [] { return made_smmuv3({.granule_lg2 = 16, .input_bits = 48, .levels = 3}); }},
        Made{"smmuv3_s2_4k_44_bits", [] { return made_smmuv3({.input_bits = 44, .second_stage = true}); }},
        Made{"smmuv3_s2_4k_concatenated", [] { return made_smmuv3({.input_bits = 42, .levels = 3, .second_stage = true}); }},
        Made{"smmuv3_s2_16k_44_bits",
             [] { return made_smmuv3({.granule_lg2 = 14, .input_bits = 44, .levels = 3, .second_stage = true}); }},
        Made{"smmuv3_s2_16k_48_bits",
             [] { return made_smmuv3({.granule_lg2 = 14, .levels = 3, .output_code = 5, .second_stage = true}); }},
        Made{"smmuv3_s2_16k_concatenated",
             [] { return made_smmuv3({.granule_lg2 = 14, .input_bits = 40, .levels = 2, .second_stage = true}); }},
        Made{"smmuv3_s2_64k_44_bits",
             [] { return made_smmuv3({.granule_lg2 = 16, .input_bits = 44, .levels = 3, .second_stage = true}); }},
        Made{"smmuv3_s2_64k_big_endian",
             [] {
               return made_smmuv3(
                   {.granule_lg2 = 16, .input_bits = 44, .levels = 2, .second_stage = true, .big_endian_tables = true});
             }},
        Made{"riscv_sv39", [] { return made_riscv({.levels = 3}); }},
        Made{"riscv_sv48", [] { return made_riscv({.directory_levels = 2}); }},
        Made{"riscv_sv57", [] { return made_riscv({.levels = 5, .directory_levels = 3, .extended = true}); }},
        Made{"riscv_sv48_big_endian", [] { return made_riscv({.extended = true, .big_endian = true}); }},
        Made{"riscv_sv39x4", [] { return made_riscv({.levels = 3, .second_stage = true}); }},
        Made{"riscv_sv48x4", [] { return made_riscv({.second_stage = true}); }},
        Made{"riscv_sv57x4", [] { return made_riscv({.levels = 5, .second_stage = true, .big_endian = true}); }},
        Made{"s390_segment_table", [] { return made_s390(2); }}, Made{"s390_region_third_table", [] { return made_s390(3); }},
        Made{"s390_region_second_table", [] { return made_s390(4); }},
        Made{"s390_region_first_table", [] { return made_s390(5); }}),
    [](auto const& made) { return made.param.name; });

}  // namespace
}  // namespace swiommu
