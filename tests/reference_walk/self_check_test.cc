// Small tables built by hand, and what each reference walker makes of them: it is held to the manuals, not to the library.
#include "reference_walk/self_check_riscv.h"
#include "reference_walk/self_check_two_stage.h"
#include "reference_walk/self_check_x86.h"
#include "reference_walk/self_check_zpci.h"

namespace reference_walk::self_check {
namespace {

TEST(ReferenceWalk, OfRiscvIsAsTheManualSays) { check_riscv(); }
TEST(ReferenceWalk, OfX86IsAsTheManualSays) { check_x86(); }
TEST(ReferenceWalk, OfZpciIsAsTheCpuManualSays) { check_zpci(); }
TEST(ReferenceWalk, OfTwoStagesIsAsTheManualsSay) { check_two_stages(); }

}  // namespace
}  // namespace reference_walk::self_check
