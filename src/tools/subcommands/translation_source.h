// What a command looks at: a memory image, and the way to a page table in it.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/domain/domain.h"
#include "swiommu/memory/memory_image.h"

namespace CLI {
class App;
}

namespace swiommu::tools {

// The options that say where the table is; the same for every command that reads one.
struct SourceOptions {
  std::string case_folder;              // --case
  std::string memory;                   // --memory
  std::string raw_base;                 // --raw
  std::string format, root;             // --format --root
  std::string levels;                   // --levels
  std::string input_bits, output_bits;  // --input-bits --output-bits
  std::string byte_order;               // --byte-order
  std::string iommu, device, pasid;     // --iommu --device --pasid
  std::vector<std::string> registers;   // --register
};
void add_source_options(CLI::App& command, SourceOptions& options);

struct TranslationSource {
  std::shared_ptr<MemoryImage> image;
  std::shared_ptr<Domain> guest_memory;     // the identity domain of the image: the root of the tree
  std::vector<ConfigurationStep> steps;     // from the registers to the table
  std::optional<ConfigurationFault> fault;  // the device's structures lead to no domain; then:
  std::shared_ptr<Domain> domain;           // nothing
  std::string summary;                      // "vtd device 0x28"
};

// EINVAL and the errors of files, each naming the value and what would be right.
Result<TranslationSource> open_source(SourceOptions const& options);

}  // namespace swiommu::tools
