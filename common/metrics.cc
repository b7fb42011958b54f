#include "common/metrics.h"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <iterator>
#include <utility>

#include "common/mutex.h"
#include "common/status.h"

namespace common {
namespace {

std::vector<prometheus::ClientMetric::Label> ToPrometheus(const Labels& labels) {
  std::vector<prometheus::ClientMetric::Label> converted;
  for (const auto& [name, value] : labels) converted.push_back({name, value});
  return converted;
}

prometheus::ClientMetric ToPrometheus(const MetricSample& sample, MetricFamily::Type type) {
  prometheus::ClientMetric metric;
  metric.label = ToPrometheus(sample.labels);
  (type == MetricFamily::Type::kCounter ? metric.counter.value : metric.gauge.value) = sample.value;
  return metric;
}

prometheus::ClientMetric ToPrometheus(const MetricBuckets& buckets) {
  CHECK(buckets.counts.size() == buckets.bounds.size() + 1);
  prometheus::ClientMetric metric;
  metric.label = ToPrometheus(buckets.labels);
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < buckets.bounds.size(); ++i) {
    count += buckets.counts[i];
    metric.histogram.bucket.push_back({count, buckets.bounds[i]});
  }
  metric.histogram.sample_count = count + buckets.counts.back();
  metric.histogram.sample_sum = buckets.sum;
  return metric;
}

prometheus::MetricType ToPrometheus(MetricFamily::Type type) {
  switch (type) {
    case MetricFamily::Type::kCounter:
      return prometheus::MetricType::Counter;
    case MetricFamily::Type::kHistogram:
      return prometheus::MetricType::Histogram;
    case MetricFamily::Type::kGauge:
      break;
  }
  return prometheus::MetricType::Gauge;
}

prometheus::MetricFamily ToPrometheus(const MetricFamily& family) {
  prometheus::MetricFamily converted;
  converted.name = family.name;
  converted.help = family.help;
  converted.type = ToPrometheus(family.type);
  for (const MetricSample& sample : family.samples) {
    converted.metric.push_back(ToPrometheus(sample, family.type));
  }
  for (const MetricBuckets& buckets : family.histograms) {
    converted.metric.push_back(ToPrometheus(buckets));
  }
  return converted;
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  Mutex mutex;
  std::vector<Collector> collectors TSA_GUARDED_BY(mutex);
};

std::vector<double> LatencyBuckets() {
  return {0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
          0.025,   0.05,     0.1,     0.25,   0.5,     1,      2.5,   5,      10};
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::AddCounter(const std::string& name, const std::string& help,
                             const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
}

Gauge& Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
}

Histogram& Metrics::AddHistogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& bounds, const Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(impl_->registry)
      .Add(labels, bounds);
}

void Metrics::AddCollector(Collector collector) {
  MutexLock lock(impl_->mutex);
  impl_->collectors.push_back(std::move(collector));
}

std::string Metrics::Text() const {
  std::vector<Collector> collectors;
  {
    MutexLock lock(impl_->mutex);
    collectors = impl_->collectors;
  }
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  for (const Collector& collector : collectors) {
    for (const MetricFamily& family : collector()) families.push_back(ToPrometheus(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace common
