#include "vfio/devices/ioat/engine.h"

#include <cstring>

#include "swiommu/base/bits.h"

namespace swiommu::vfio::ioat {

Engine::Engine(Slot& slot, IoatOptions const& options, ModelDescription description, std::shared_ptr<RegisterMemory> memory)
    : description_(std::move(description)), shared_(slot, options, std::move(memory)), bus_master_(slot.bus_master()) {
  if (!bus_master_) shared_.gate.close();
}

Result<std::unique_ptr<Engine>> Engine::create(Slot& slot, IoatOptions const& options, ModelDescription description) {
  auto memory = RegisterMemory::create(description.bars.front().bytes);
  if (!memory) return std::unexpected(std::move(memory).error());
  std::unique_ptr<Engine> engine(new Engine(slot, options, std::move(description), std::move(*memory)));
  for (unsigned number = 0; number < options.channels; number++) {
    auto port = slot.open_port();
    if (!port) return std::unexpected(std::move(port).error());
    engine->channels_.emplace_back(engine->shared_, number, std::move(*port));
  }
  return engine;
}

Result<> Engine::start() {
  for (Channel& each : channels_) SWIOMMU_TRY(each.start());
  return {};
}

Engine::~Engine() {
  shared_.gate.close();
  for (Channel& each : channels_) each.stop();
}

Channel* Engine::channel_of(std::uint64_t word) {
  std::uint64_t const number = word / offset::channel_bytes;
  return number == 0 || number > channels_.size() ? nullptr : &channels_[number - 1];
}

std::uint64_t Engine::read_word(std::uint64_t word, std::uint64_t bytes) {
  Channel* const channel = channel_of(word);
  return channel != nullptr ? channel->read(word % offset::channel_bytes) : shared_.general.read(word, bytes);
}

void Engine::write_word(std::uint64_t word, std::uint64_t value, std::uint64_t bytes) {
  if (Channel* const channel = channel_of(word)) return channel->write(word % offset::channel_bytes, value, bytes);
  shared_.general.write(word, value, bytes);
}

void Engine::read_bar(unsigned bar, std::uint64_t at, std::span<std::byte> to) {
  unsigned const shift = static_cast<unsigned>(at % 8) * 8;
  std::uint64_t const bytes = low_bits(static_cast<unsigned>(to.size()) * 8) << shift;
  std::uint64_t const value = bar == 0 ? read_word(at / 8 * 8, bytes) >> shift : 0;
  std::memcpy(to.data(), &value, to.size());
}

void Engine::write_bar(unsigned bar, std::uint64_t at, std::span<std::byte const> from) {
  if (bar != 0) return;
  unsigned const shift = static_cast<unsigned>(at % 8) * 8;
  std::uint64_t value = 0;
  std::memcpy(&value, from.data(), from.size());
  write_word(at / 8 * 8, value << shift, low_bits(static_cast<unsigned>(from.size()) * 8) << shift);
}

Result<std::shared_ptr<iommufd::MappableMemory>> Engine::map_bar(unsigned bar) {
  if (bar != 0) return fail(ENODEV, "only BAR 0 of an I/OAT engine can be mapped");
  return RegisterMemory::map(shared_.memory, !shared_.options.polled, [this] { wake(); });
}

void Engine::wake() {
  for (Channel& each : channels_) each.wake();
}

void Engine::on_bus_master(bool enabled) {
  if (enabled == bus_master_) return;
  bus_master_ = enabled;
  if (!enabled) return shared_.gate.close();
  shared_.gate.open();
  wake();
}

void Engine::reset() {
  shared_.gate.close();
  shared_.memory->clear();
  shared_.general.reset();  // before the channels, which ask it what was written
  for (Channel& each : channels_) each.reset();
  shared_.gate.open();
}

}  // namespace swiommu::vfio::ioat
