#include "swiommu/vfio/model_specification.h"

#include <gmock/gmock.h>

namespace swiommu::vfio {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(std::string_view text) {
  auto const parsed = parse_model(text);
  return parsed ? "accepted" : parsed.error().about;
}

TEST(VfioModelSpecification, SaysTheSameAgainForAnyWorkingDirectory) {
  auto const parsed =
      parse_model("nvme:disk.img,serial=7,namespace=more.img,record=writes,read-only,address=0000:42:01.3,pasid-bits=8");
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->text, StartsWith("nvme:/"));
  EXPECT_THAT(parsed->text, HasSubstr("/disk.img,serial=7,namespace=/"));
  EXPECT_THAT(parsed->text, HasSubstr("/more.img,record=/"));
  EXPECT_THAT(parsed->text, HasSubstr("/writes,read-only,address=0000:42:01.3,pasid-bits=8"));
  EXPECT_EQ(parsed->place.address, PciAddress::parse("0000:42:01.3"));
  EXPECT_EQ(parsed->place.pasid_bits, 8u);
  auto const again = parse_model(parsed->text);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->text, parsed->text);
}

TEST(VfioModelSpecification, KnowsEachOptionOfEachModel) {
  for (ModelKind const& kind : model_kinds())
    for (auto const options : {kind.options, place_options()})
      for (ModelOption const& option : options) {
        std::string const name = std::string(kind.name) + (kind.argument.empty() ? "" : ":x");
        std::string const setting = std::string(option.name) + (option.value.empty() ? "" : "=");
        // without a value that is one, so that the option itself is what is found
        EXPECT_THAT(refusal(name + "," + setting), testing::Not(HasSubstr("has no option"))) << setting;
      }
}

TEST(VfioModelSpecification, RefusesWhatNobodyCanHaveMeant) {
  EXPECT_THAT(refusal(""), HasSubstr("there is no device ''"));
  EXPECT_THAT(refusal("disk.img"), HasSubstr("there is no device 'disk.img'; there are nvme, ioat"));
  EXPECT_THAT(refusal("nvme:"), HasSubstr("nvme needs more: nvme:IMAGE"));
  EXPECT_THAT(refusal("nvme,serial=7"), HasSubstr("nvme needs more"));
  EXPECT_THAT(refusal("nvme:x,serail=7"), HasSubstr("nvme has no option 'serail'; there are size, namespace"));
  EXPECT_THAT(refusal("nvme:x,serial"), HasSubstr("serial needs a value: serial=TEXT"));
  EXPECT_THAT(refusal("nvme:x,read-only=1"), HasSubstr("read-only has no value"));
  for (auto const* const size : {"-1", "1Q", "M", "0", "99999999999T", "1 M", "0x1000"})
    EXPECT_THAT(refusal(std::string("nvme:x,size=") + size), HasSubstr("not a number")) << size;
  EXPECT_THAT(refusal("nvme:x,block-size=1024"), HasSubstr("blocks have 512 or 4096 bytes"));
  EXPECT_THAT(refusal("nvme:x,size=1048577"), HasSubstr("no multiple of blocks of 512 bytes"));
  EXPECT_THAT(refusal("nvme:x,size=1048576,namespace=y,block-size=4096"), "accepted");
  EXPECT_THAT(refusal("nvme:x,queues=0"), HasSubstr("not a number from 1 to 1023"));
  EXPECT_THAT(refusal("nvme:x,address=1:2"), HasSubstr("an address is like 0000:01:00.0"));
  EXPECT_THAT(refusal("ioat:x"), HasSubstr("ioat has options only: ioat,NAME=VALUE"));
  EXPECT_THAT(refusal("ioat,transfer=5000"), HasSubstr("no power of two"));
  EXPECT_EQ(refusal("ioat,channels=2,transfer=1M"), "accepted");
  EXPECT_THAT(refusal("nvme:x\ny"), HasSubstr("no line breaks"));
}

}  // namespace
}  // namespace swiommu::vfio
