// Tables of our own that tell after each store what has happened, so that a test can look at every state in between, and before
// each compare-and-swap what is going to happen, so that it can be first.
#pragma once
#include <functional>
#include <memory>
#include <set>

#include "page_table/own_tables.h"

namespace swiommu::conformance {

struct Recorder {
  std::function<void()> after_store = [] {};
  std::function<void()> before_exchange = [] {};
  std::function<void(std::uint64_t table)> before_retire = [](std::uint64_t) {};
  std::uint64_t stores = 0;
  std::set<std::uint64_t> retired;
  bool stored_into_retired = false;

  void stored(std::uint64_t table) {
    stores++;
    stored_into_retired |= retired.contains(table);
    after_store();
  }
};

class RecordingTables {
 public:
  RecordingTables(std::shared_ptr<TableAllocator> allocator, Recorder& recorder)
      : tables_(std::move(allocator)), recorder_(&recorder) {}

  template <class Entry>
  std::optional<Entry> load(std::uint64_t table, std::uint64_t index) const {
    return tables_.load<Entry>(table, index);
  }

  template <class Entry>
  bool fetch(std::uint64_t table, std::uint64_t index, Entry& e) const {
    return tables_.fetch<Entry>(table, index, e);
  }

  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry desired) {
    recorder_->before_exchange();
    Exchange const outcome = tables_.exchange<Entry>(table, index, expected, desired);
    if (outcome == Exchange::done) recorder_->stored(table);
    return outcome;
  }

  template <class Entry>
  bool store(std::uint64_t table, std::uint64_t index, Entry e) {
    bool const done = tables_.store<Entry>(table, index, e);
    recorder_->stored(table);
    return done;
  }

  template <class Entry>
  Result<std::uint64_t> allocate(unsigned size_lg2, Entry fill) {
    auto table = tables_.allocate<Entry>(size_lg2, fill);
    if (table) recorder_->retired.erase(*table);
    return table;
  }

  void release(std::uint64_t table, unsigned size_lg2) { tables_.release(table, size_lg2); }
  void retire(Gather& gather, std::uint64_t table, unsigned size_lg2) {
    recorder_->before_retire(table);
    recorder_->retired.insert(table);
    tables_.retire(gather, table, size_lg2);
  }

 private:
  OwnTables tables_;
  Recorder* recorder_;
};

}  // namespace swiommu::conformance
