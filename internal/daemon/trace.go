package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gnomon-stream/gnomon/internal/trace"
)

// TraceRatioDefault is which part of the objects is traced.
const TraceRatioDefault = 0.01

// TraceOptions say whether a process tells traces, and to whom.
type TraceOptions struct {
	Endpoint string
	Ratio    float64
}

// ParseTraceEndpoint takes the URL of a collector.
func ParseTraceEndpoint(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", errors.New("use http://host:port or https://host:port; headers with credentials go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return u.Scheme + "://" + u.Host, nil
}

// ParseTraceRatio takes a part, 0 to 1.
func ParseTraceRatio(v string) (float64, error) {
	r, err := strconv.ParseFloat(v, 64)
	if err != nil || !(r >= 0 && r <= 1) { // no number at all is neither
		return 0, errors.New("use a number from 0 to 1")
	}
	return r, nil
}

func traceSettings(o *TraceOptions) settings {
	o.Ratio = TraceRatioDefault
	return settings{
		{"trace-endpoint", "collector of OpenTelemetry traces (OTLP over gRPC), such as http://127.0.0.1:4317; default: no traces", false, func(v string) (err error) {
			o.Endpoint, err = ParseTraceEndpoint(v)
			return err
		}},
		{"trace-ratio", "part of the objects that is traced, the same in all processes of both regions; default 0.01", false, func(v string) (err error) {
			o.Ratio, err = ParseTraceRatio(v)
			return err
		}},
	}
}

// farewell is how long a process that ends may tell what it has not told yet.
const farewell = 2 * time.Second

// NewTracer returns the tracer of a process and what is to be done at its end; no tracer without an endpoint.
func NewTracer(ctx context.Context, o TraceOptions, service, instance, version string, logger *slog.Logger, now func() time.Time) (*trace.Tracer, func(), error) {
	t, err := trace.New(ctx, trace.Config{
		Endpoint: o.Endpoint, Ratio: o.Ratio, Service: service, Instance: instance, Version: version, Logger: logger, Now: now,
	})
	return t, func() {
		bye, stop := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer stop()
		if err := t.Close(bye); err != nil {
			logger.Debug("the last traces", "error", err)
		}
	}, err
}
