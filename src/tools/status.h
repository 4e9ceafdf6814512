// How the program ends.
#pragma once

namespace swiommu::tools {

// Exit status: 0 all went well; 1 an access faulted, or a check of the demo failed; 2 bad input, with one line on stderr.
enum Status : int { all_well = 0, faulted = 1, bad_input = 2 };

}  // namespace swiommu::tools
