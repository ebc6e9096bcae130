package office

import (
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bulla-id/bulla/internal/webapi"
)

// metricsPath is where an office's metrics are, at an address of their own: they are for its operators and not for its clients.
const metricsPath = "/metrics"

// metrics are what an office says of itself in Prometheus's format: requests by method and status, how long they took, the process, and what
// the role adds. There is no label that a client chooses.
type metrics struct {
	listener net.Listener
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(address string) (*metrics, error) {
	l, err := webapi.Listen(address)
	if err != nil {
		return nil, err
	}
	m := &metrics{
		listener: l, registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bulla_http_requests_total", Help: "Requests answered."}, []string{"code", "method"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bulla_http_request_duration_seconds", Help: "From a request's header to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"method"}),
	}
	m.registry.MustRegister(m.requests, m.duration, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, nil
}

// count is next, counted. promhttp puts methods that nobody knows together.
func (m *metrics) count(next http.Handler) http.Handler {
	return promhttp.InstrumentHandlerDuration(m.duration, promhttp.InstrumentHandlerCounter(m.requests, next))
}

func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// gauge adds a figure that is asked for whenever somebody reads the metrics.
func (s *Service) gauge(name, help string, value func() float64) { s.gaugeOf(name, help, nil, value) }

// gaugeOf is gauge with labels, which the configuration fixes.
func (s *Service) gaugeOf(name, help string, labels map[string]string, value func() float64) {
	if s.metrics != nil {
		s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
}

// readiness adds whether the office can do its work.
func (s *Service) readiness(ready func() bool) {
	s.gauge("bulla_ready", "1 if the office can do its work, else 0: /readyz says why.", func() float64 {
		problems, _ := s.alarms()
		return one(ready() && len(problems) == 0)
	})
}

func one(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

// MetricsURL is where the metrics are on this machine; empty: nowhere.
func (s *Service) MetricsURL() string {
	if s.metrics == nil {
		return ""
	}
	return "http://" + s.metrics.listener.Addr().String() + metricsPath
}
