// What an I/OAT engine does, as its DMA shows it, while turns of its channels are taken one by one: a descriptor is read, the
// bytes that it names are copied, and a completion is written, each where it should be.
#pragma once
#include <vector>

#include "device_machine.h"
#include "outcome_counts.h"
#include "vfio/devices/ioat/engine.h"

namespace swiommu::fuzzing {

class IoatObserver final : public DmaWatcher {
 public:
  IoatObserver(DeviceMachine const& machine, FuzzedSlot const& slot, vfio::ioat::Engine& engine, OutcomeCounts& counts)
      : machine_(machine), slot_(slot), engine_(engine), counts_(counts) {}

  template <class T>
  [[nodiscard]] T read(std::uint64_t at) const {
    T value{};
    engine_.read_bar(0, at, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  static std::uint64_t at(unsigned channel, std::uint64_t register_offset) {
    return vfio::ioat::offset::channels + vfio::ioat::offset::channel_bytes * channel + register_offset;
  }
  [[nodiscard]] vfio::ioat::ChannelState state(unsigned channel) const {
    return static_cast<vfio::ioat::ChannelState>(read<std::uint64_t>(at(channel, vfio::ioat::offset::chansts)) & 7);
  }

  // A turn of a channel. True: there was something to do.
  bool turn(unsigned channel) {
    namespace offset = vfio::ioat::offset;
    channel_ = channel;
    place_.reset();
    data_.clear();
    written_ = accesses_ = completions_ = 0;
    std::uint64_t const raised = slot_.raised;
    bool const worked = engine_.turn(channel);
    require(slot_.raised - raised <= 1);
    auto const errors = read<std::uint32_t>(at(channel, offset::chanerr));
    if (!place_) {  // nothing to do, or no descriptor where one should be
      require(completions_ == 0 || errors != 0);
      return worked;
    }
    // It is the descriptor that CDAR says.
    require(machine_.place(read<std::uint64_t>(at(channel, offset::cdar))) == place_);
    require((state(channel) == vfio::ioat::ChannelState::halted) == (errors != 0));
    if (errors == 0) require(written_ == (copies() ? descriptor_.size : 0));
    if (errors == 0 && (descriptor_.control & Descriptor::completion_write) != 0) require(completions_ == 1);
    counts_.add("descriptor", outcome(errors), 0);
    if (completions_ != 0) counts_.add("completion write", errors == 0 ? "done" : "halted", 0);
    if (slot_.raised != raised) counts_.add("interrupt", "message", 0);
    if (slot_.line) counts_.add("interrupt", "line", 0);
    return worked;
  }

  void on_read(unsigned page, std::uint64_t offset, std::span<std::byte const> bytes) override {
    require(slot_.master && machine_.allows(page, Access::reading()) && ++accesses_ <= most_accesses);
    if (!place_) {
      require(bytes.size() == sizeof descriptor_ && offset % sizeof descriptor_ == 0);
      std::memcpy(&descriptor_, bytes.data(), bytes.size());
      place_ = page * page_bytes + offset;
      return;
    }
    require(copies() && data_.size() + bytes.size() <= descriptor_.size);
    require(machine_.place(descriptor_.source + data_.size()) == page * page_bytes + offset);
    data_.insert(data_.end(), bytes.begin(), bytes.end());
  }

  void on_write(unsigned page, std::uint64_t offset, std::span<std::byte const> bytes) override {
    require(slot_.master && machine_.allows(page, Access::writing()) && ++accesses_ <= most_accesses);
    std::uint64_t const place = page * page_bytes + offset;
    require(completions_ == 0);
    bool const is_data = place_ && data_.size() - written_ >= bytes.size() &&
                         machine_.place(descriptor_.destination + written_) == place &&
                         std::memcmp(&data_[written_], bytes.data(), bytes.size()) == 0;
    if (is_data) {
      written_ += bytes.size();
      return;
    }
    completions_++;
    std::uint64_t status = 0;
    require(bytes.size() == sizeof status &&
            machine_.place(read<std::uint64_t>(at(channel_, vfio::ioat::offset::chancmp))) == place);
    std::memcpy(&status, bytes.data(), sizeof status);
    bool const halted = (status & 7) == static_cast<std::uint64_t>(vfio::ioat::ChannelState::halted);
    if (!halted)
      require(place_ && (descriptor_.control & Descriptor::completion_write) != 0 && machine_.place(status & ~63ull) == place_);
  }

 private:
  using Descriptor = vfio::ioat::Descriptor;
  // The descriptor, what is copied in pieces of a page that may lie in two, twice, and a completion.
  static constexpr std::uint64_t most_accesses = 1 + 2 * 2 * (16 + 1) + 1;

  [[nodiscard]] bool copies() const { return descriptor_.operation() == 0 && (descriptor_.control & Descriptor::null) == 0; }
  static std::string_view outcome(std::uint32_t errors) {
    namespace e = vfio::ioat::chanerr;
    if (errors == 0) return "done";
    if ((errors & e::completion_address) != 0) return "completion address";
    switch (errors) {
      case e::source_address: return "source address";
      case e::destination_address: return "destination address";
      case e::read_data: return "read data";
      case e::write_data: return "write data";
      case e::control: return "control";
      case e::length: return "length";
      default: return "several errors";
    }
  }

  DeviceMachine const& machine_;
  FuzzedSlot const& slot_;
  vfio::ioat::Engine& engine_;
  OutcomeCounts& counts_;

  // Of the turn that is being taken.
  unsigned channel_ = 0, completions_ = 0;
  std::optional<std::uint64_t> place_;  // where the descriptor was
  Descriptor descriptor_;
  std::vector<std::byte> data_;
  std::uint64_t written_ = 0, accesses_ = 0;
};

}  // namespace swiommu::fuzzing
