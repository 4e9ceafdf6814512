// One figure to be measured: what it is called, what it is compared with, and how it is done.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace swiommu::bench {

// Where a figure belongs: a suite has charts, a chart has series, a series has a figure at each x.
struct Label {
  std::string suite;   // "walk"
  std::string chart;   // "smallest leaves, independent"
  std::string series;  // "vtd-second-stage"
  std::string axis;    // what x counts: "pages"; empty: the series is one figure
  std::uint64_t x = 0;
  std::string per = "call";  // what takes the time that is measured

  bool operator==(Label const&) const = default;
};

// "walk/smallest leaves, independent/vtd-second-stage/4096"
std::string name(Label const& label);

// What is measured, ready to go. It owns whatever it needs.
struct Run {
  // Does so many operations, and returns the nanoseconds that they took. What goes wrong is thrown as a Failure.
  std::function<double(std::uint64_t operations)> time;
  // What there is to say about it in the end: "93 % of the accesses walk". May be empty.
  std::function<std::string()> remark = {};
};

struct Measurement {
  Label label;
  // Builds the Run. Memory is taken here, and given back with the Run.
  std::function<Run()> prepare;
  // Of Label::per, in one operation.
  double items = 1;
  // Measured in the same run, just before.
  std::vector<std::shared_ptr<Measurement const>> references = {};
};

// The time that `body` takes, in nanoseconds.
template <class Body>
double nanoseconds(Body&& body) {
  auto const before = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - before).count();
}

// Makes the compiler believe that a value is used, and that memory has changed.
template <class Value>
void keep(Value const& value) {
  asm volatile("" : : "g"(value) : "memory");
}

}  // namespace swiommu::bench
