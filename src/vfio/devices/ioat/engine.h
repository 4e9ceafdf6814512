// The engine: its general registers, and its channels.
#pragma once
#include <deque>
#include <memory>

#include "vfio/devices/ioat/channel.h"

namespace swiommu::vfio::ioat {

class Engine final : public DeviceModel {
 public:
  // Its threads have not begun: start() does that, or somebody takes their turns.
  static Result<std::unique_ptr<Engine>> create(Slot& slot, IoatOptions const& options, ModelDescription description);
  ~Engine() override;
  Result<> start();
  // A descriptor at most. True: there was something to do.
  bool turn(unsigned channel) { return channels_[channel].turn(); }

  [[nodiscard]] ModelDescription const& description() const override { return description_; }
  void read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> to) override;
  void write_bar(unsigned bar, std::uint64_t offset, std::span<std::byte const> from) override;
  Result<std::shared_ptr<iommufd::MappableMemory>> map_bar(unsigned bar) override;
  void on_bus_master(bool enabled) override;
  void reset() override;

 private:
  Engine(Slot& slot, IoatOptions const& options, ModelDescription description, std::shared_ptr<RegisterMemory> memory);

  [[nodiscard]] std::uint64_t read_word(std::uint64_t word, std::uint64_t bytes);
  void write_word(std::uint64_t word, std::uint64_t value, std::uint64_t bytes);
  [[nodiscard]] Channel* channel_of(std::uint64_t word);
  void wake();

  ModelDescription const description_;
  Shared shared_;
  bool bus_master_;  // of the slot's owner
  std::deque<Channel> channels_;
};

// As make_ioat(), without threads that run.
Result<std::unique_ptr<Engine>> make_engine(Slot& slot, IoatOptions const& options);

}  // namespace swiommu::vfio::ioat
