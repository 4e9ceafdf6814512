// Profiles by name, and from files that users write.
//
// A file is JSON with comments. It starts from a builtin profile and says what differs:
//
//   {
//     "base": "intel-vtd",
//     "registers": {"cap": "0xd2078c106f0466", "ecap": "0xf020df"},  // as Linux logs them
//     "paging": {"usual": {"page_sizes": ["4K"]}}
//   }
//
// What hardware with these registers can do follows from them, and the other keys change that. `swiommu profiles NAME --json`
// shows all that there is to say. Numbers may be strings: "0x1000", "4K", "1G". An error is one line "file:line:column: what is
// wrong and what would be right".
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "swiommu/profile/profile.h"

namespace swiommu {

// ENOMEM.
[[nodiscard]] Result<std::vector<Profile>> builtin_profiles();

// A builtin profile, or the file at a path: what has a '/' or ends in ".json" is a path. ENOENT: there is no such profile, or no
// such file. EINVAL: the file is no profile. Errors of reading it. ENOMEM.
[[nodiscard]] Result<Profile> load_profile(std::string const& name_or_path);

// The profile that `text` describes. `file` is what errors call it, and the profile's name if it has none. EINVAL; ENOMEM.
[[nodiscard]] Result<Profile> parse_profile(std::string_view text, std::string_view file);

// The profile as a file that can be loaded again. ENOMEM.
[[nodiscard]] Result<std::string> profile_text(Profile const& profile);

}  // namespace swiommu
