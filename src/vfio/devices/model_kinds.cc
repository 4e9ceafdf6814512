#include <array>

#include "swiommu/vfio/model_specification.h"

namespace swiommu::vfio {
namespace {

constexpr std::array of_nvme{
    ModelOption{"size", "BYTES", "make the image, if there is none (64M, 2G)"},
    ModelOption{"namespace", "IMAGE", "one namespace more; as often as wanted"},
    ModelOption{"block-size", "BYTES", "512 (usual) or 4096, of the first namespace, and of those that follow"},
    ModelOption{"read-only", "", "the first namespace, and those that follow, cannot be written"},
    ModelOption{"serial", "TEXT", "up to 20 characters"},
    ModelOption{"model", "TEXT", "up to 40 characters"},
    ModelOption{"queues", "N", "pairs of I/O queues, usually 64"},
    ModelOption{"threads", "N", "threads that work on them, usually 2"},
    ModelOption{"mdts", "N", "largest transfer: 4 KiB << N, usually 7"},
    ModelOption{"record", "FILE", "a new file that gets every write and flush, for `swiommu replay`"},
};

constexpr std::array of_ioat{
    ModelOption{"channels", "N", "usually 1"},
    ModelOption{"transfer", "BYTES", "the largest of one descriptor, usually 1M"},
    ModelOption{"polled", "", "programs access registers that they map, which are looked at: for virtual machines under KVM"},
};

constexpr std::array kinds{
    ModelKind{"nvme", "IMAGE", "An NVMe 1.4 controller whose namespaces are files", of_nvme},
    ModelKind{"ioat", "", "An I/OAT DMA engine, as a Skylake-X has it", of_ioat},
};

constexpr std::array of_all{
    ModelOption{"address", "ADDRESS", "where it is: 0000:01:00.0; usually the next bus"},
    ModelOption{"pasid-bits", "N", "its DMA may have PASIDs of N bits; usually none"},
};

}  // namespace

std::span<ModelKind const> model_kinds() { return kinds; }
std::span<ModelOption const> place_options() { return of_all; }

}  // namespace swiommu::vfio
