// Words for what becomes of NVMe commands.
#pragma once
#include <string_view>

#include "vfio/devices/nvme/command.h"

namespace swiommu::fuzzing {

inline std::string_view name_of(vfio::nvme::AdminOpcode opcode) {
  using enum vfio::nvme::AdminOpcode;
  switch (opcode) {
    case delete_submission_queue: return "delete submission queue";
    case create_submission_queue: return "create submission queue";
    case get_log_page: return "get log page";
    case delete_completion_queue: return "delete completion queue";
    case create_completion_queue: return "create completion queue";
    case identify: return "identify";
    case abort: return "abort";
    case set_features: return "set features";
    case get_features: return "get features";
    case asynchronous_event_request: return "event request";
  }
  return "another admin command";
}

inline std::string_view name_of(vfio::nvme::NvmOpcode opcode) {
  using enum vfio::nvme::NvmOpcode;
  switch (opcode) {
    case flush: return "flush";
    case write: return "write";
    case read: return "read";
    case compare: return "compare";
    case write_zeroes: return "write zeroes";
    case dataset_management: return "dataset management";
    case verify: return "verify";
  }
  return "another NVM command";
}

inline std::string_view name_of(vfio::nvme::Status status) {
  namespace s = vfio::nvme::status;
  struct Name {
    vfio::nvme::Status status;
    std::string_view name;
  };
  static constexpr Name names[] = {{s::success, "success"},
                                   {s::invalid_opcode, "invalid opcode"},
                                   {s::invalid_field, "invalid field"},
                                   {s::data_transfer_error, "data transfer error"},
                                   {s::abort_requested, "abort requested"},
                                   {s::invalid_namespace, "invalid namespace"},
                                   {s::command_sequence_error, "command sequence error"},
                                   {s::invalid_sgl_segment_descriptor, "invalid SGL segment"},
                                   {s::invalid_number_of_sgl_descriptors, "invalid number of SGL descriptors"},
                                   {s::data_sgl_length_invalid, "invalid SGL length"},
                                   {s::sgl_descriptor_type_invalid, "invalid SGL type"},
                                   {s::prp_offset_invalid, "invalid PRP offset"},
                                   {s::write_protected, "write protected"},
                                   {s::lba_out_of_range, "LBA out of range"},
                                   {s::completion_queue_invalid, "invalid completion queue"},
                                   {s::invalid_queue_identifier, "invalid queue identifier"},
                                   {s::invalid_queue_size, "invalid queue size"},
                                   {s::too_many_event_requests, "too many event requests"},
                                   {s::invalid_interrupt_vector, "invalid interrupt vector"},
                                   {s::invalid_log_page, "invalid log page"},
                                   {s::invalid_queue_deletion, "invalid queue deletion"},
                                   {s::feature_not_saveable, "feature not saveable"},
                                   {s::feature_not_of_namespace, "feature not of a namespace"},
                                   {s::compare_failure, "compare failure"}};
  for (Name const& each : names)
    if (each.status == status) return each.name;
  return "another status";  // none of what a sound file and enough memory lead to
}

}  // namespace swiommu::fuzzing
