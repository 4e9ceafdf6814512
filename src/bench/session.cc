#include "bench/session.h"

#include <set>

namespace swiommu::bench {

void Session::run(std::vector<Measurement> const& measurements) {
  for (Measurement const& measurement : measurements) measure(measurement);
}

Figure const& Session::measure(Measurement const& measurement) {
  std::string const own_name = name(measurement.label);
  if (auto const at = measured_.find(own_name); at != measured_.end()) return figures_[at->second];
  Figure figure{.label = measurement.label};
  std::vector<Figure> references;
  references.reserve(measurement.references.size());
  for (auto const& reference : measurement.references) references.push_back(measure(*reference));
  listener_.starts(measurement.label);
  try {
    Run const run = measurement.prepare();
    figure.sample = sampler_.take(run, measurement.items);
    if (run.remark) figure.remark = run.remark();
  } catch (std::exception const& problem) {
    figure.problem = problem.what();
  }
  for (Figure const& reference : references)
    if (figure.problem.empty() && reference.problem.empty() && reference.sample.median > 0)
      figure.ratios.push_back({name(reference.label), figure.sample.median / reference.sample.median});
  measured_.emplace(own_name, figures_.size());
  figures_.push_back(std::move(figure));
  listener_.ends(figures_.back());
  return figures_.back();
}

std::size_t count_of(std::vector<Measurement> const& measurements) {
  std::set<std::string> names;
  std::function<void(Measurement const&)> const add = [&](Measurement const& measurement) {
    names.insert(name(measurement.label));
    for (auto const& reference : measurement.references) add(*reference);
  };
  for (Measurement const& measurement : measurements) add(measurement);
  return names.size();
}

}  // namespace swiommu::bench
