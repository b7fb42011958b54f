#include "common/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace common {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(MetricsTest, InstrumentsAppearInTheText) {
  Metrics metrics;
  metrics.AddCounter("t_reads_total", "Reads", {{"result", "hit"}}).Increment(3);
  metrics.AddCounter("t_reads_total", "Reads", {{"result", "miss"}}).Increment();
  metrics.AddCounter("t_reads_total", "Reads", {{"result", "miss"}}).Increment();  // the same one
  metrics.AddGauge("t_size_bytes", "Size").Set(12);
  metrics.AddHistogram("t_latency_seconds", "Latency", {0.1, 1}).Observe(0.5);
  EXPECT_THAT(
      metrics.Text(),
      AllOf(HasSubstr("# HELP t_reads_total Reads"), HasSubstr("# TYPE t_reads_total counter"),
            HasSubstr("t_reads_total{result=\"hit\"} 3"),
            HasSubstr("t_reads_total{result=\"miss\"} 2"), HasSubstr("t_size_bytes 12"),
            HasSubstr("t_latency_seconds_bucket{le=\"0.1\"} 0"),
            HasSubstr("t_latency_seconds_bucket{le=\"+Inf\"} 1"),
            HasSubstr("t_latency_seconds_sum 0.5")));
}

TEST(MetricsTest, CollectorsAreAskedAtEveryScrape) {
  Metrics metrics;
  double value = 1;
  metrics.AddCollector([&value] {
    return std::vector<MetricFamily>{
        {.name = "t_streams", .help = "Streams", .samples = {{{{"type", "delta"}}, value}}},
        {.name = "t_applied_total",
         .help = "Applied",
         .type = MetricFamily::Type::kCounter,
         .samples = {{.value = 2 * value}}},
        {.name = "t_age_seconds",
         .help = "Age",
         .type = MetricFamily::Type::kHistogram,
         .histograms = {{.bounds = {1, 2}, .counts = {4, 5, 6}, .sum = 30}}}};
  });
  EXPECT_THAT(metrics.Text(), HasSubstr("t_streams{type=\"delta\"} 1\n"));
  value = 5;
  EXPECT_THAT(metrics.Text(),
              AllOf(HasSubstr("t_streams{type=\"delta\"} 5\n"), HasSubstr("t_applied_total 10\n"),
                    HasSubstr("t_age_seconds_bucket{le=\"1\"} 4\n"),
                    HasSubstr("t_age_seconds_bucket{le=\"2\"} 9\n"),
                    HasSubstr("t_age_seconds_bucket{le=\"+Inf\"} 15\n"),
                    HasSubstr("t_age_seconds_count 15\n"), HasSubstr("t_age_seconds_sum 30\n")));
}

}  // namespace
}  // namespace common
