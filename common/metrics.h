// Metrics: counters, gauges and histograms by name, and their Prometheus text.
//
// Thread: any; the instruments are safe to use from any thread. Lifetime: outlives what it handed
// out and everything that its collectors read.
// Names are tributary_<program>_…, base units (seconds, bytes), counters end in _total. Values kept
// elsewhere (a hub's counters, a store's size) come by a collector, asked once per scrape.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace common {

using Labels = std::map<std::string, std::string>;
using Counter = prometheus::Counter;      // Increment(n = 1)
using Gauge = prometheus::Gauge;          // Set, Increment, Decrement
using Histogram = prometheus::Histogram;  // Observe(value); takes a lock

// 10 µs to 10 s in steps of 1, 2.5, 5.
std::vector<double> LatencyBuckets();

// What a collector answers.
struct MetricSample {
  Labels labels = {};
  double value = 0;
};
struct MetricBuckets {
  Labels labels = {};
  std::vector<double> bounds = {};         // upper, ascending, without infinity
  std::vector<std::uint64_t> counts = {};  // one more than bounds; not cumulative
  double sum = 0;
};
struct MetricFamily {
  enum class Type { kCounter, kGauge, kHistogram };
  std::string name;
  std::string help;
  Type type = Type::kGauge;
  std::vector<MetricSample> samples = {};
  std::vector<MetricBuckets> histograms = {};
};
using Collector = std::function<std::vector<MetricFamily>()>;

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same instrument again.
  Counter& AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& AddHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& bounds = LatencyBuckets(),
                          const Labels& labels = {});
  // Called on the admin server's threads; must not block for long.
  void AddCollector(Collector collector);

  // Prometheus text exposition format 0.0.4.
  std::string Text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace common
