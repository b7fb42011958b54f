#include "control-plane/app_metrics.h"

namespace cp {
namespace {

using common::MetricFamily;

template <class T>
MetricFamily One(const char* name, const char* help, MetricFamily::Type type, T value) {
  return {.name = std::string("tributary_control_plane_") + name,
          .help = help,
          .type = type,
          .samples = {{.value = static_cast<double>(value)}}};
}

std::vector<MetricFamily> Collect(HubThread& hub, const Store& store) {
  constexpr auto kGauge = MetricFamily::Type::kGauge;
  constexpr auto kCounter = MetricFamily::Type::kCounter;
  const HubFigures figures = hub.Figures();
  const HubCounters& hub_total = figures.counters;
  const CatalogPtr catalog = store.catalog();
  return {
      One("streams", "Open xDS streams", kGauge, figures.streams),
      One("unacked_bytes", "Bytes sent and not yet acknowledged", kGauge, figures.unacked_bytes),
      One("streams_opened_total", "xDS streams opened", kCounter, hub_total.streams_opened),
      One("responses_total", "xDS responses sent", kCounter, hub_total.responses),
      One("response_bytes_total", "Bytes of xDS responses sent", kCounter,
          hub_total.response_bytes),
      One("acks_total", "Responses acknowledged", kCounter, hub_total.acks),
      One("nacks_total", "Responses refused by a client", kCounter, hub_total.nacks),
      One("encode_cache_hits_total", "Chunks served as encoded before", kCounter,
          hub_total.encode_cache_hits),
      One("encode_cache_misses_total", "Chunks that had to be put together", kCounter,
          hub_total.encode_cache_misses),
      One("big_request_bytes", "Bytes of big xDS requests being dealt with", kGauge,
          hub.requests().used()),
      One("big_requests_refused_total", "Big xDS requests for which there was no room", kCounter,
          hub.requests().refused()),
      One("store_bytes", "Bytes in use of the store", kGauge, store.bytes_used()),
      One("datasets", "Declared datasets", kGauge, catalog->datasets.size()),
      One("subscriptions", "Declared subscriptions", kGauge, catalog->subscriptions.size()),
  };
}

}  // namespace

void AddControlPlaneMetrics(HubThread& hub, const Store& store, common::Metrics& metrics) {
  metrics.AddCollector([&hub, &store] { return Collect(hub, store); });
}

}  // namespace cp
