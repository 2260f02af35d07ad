package trace

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config of a Tracer.
type Config struct {
	Endpoint string  // of a collector that takes OTLP over gRPC, such as http://127.0.0.1:4317; none means off
	Ratio    float64 // of objects that are traced, 0 to 1
	Service  string  // "gnomon-agent"
	Instance string  // tells processes of a service apart
	Version  string
	Logger   *slog.Logger
	Now      func() time.Time
}

// Tracer tells spans to a collector; nil tells none.
type Tracer struct {
	below    uint64
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New returns a tracer, nil without an endpoint. The collector need not be there: it is connected to when there is something to tell.
// Headers, a certificate and further attributes of the process come from the variables that OpenTelemetry names for them.
func New(ctx context.Context, cfg Config) (*Tracer, error) {
	if cfg.Endpoint == "" {
		return nil, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(cfg.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("exporter of traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(
		attribute.String("service.name", cfg.Service), attribute.String("service.instance.id", cfg.Instance), attribute.String("service.version", cfg.Version),
	))
	if err != nil {
		return nil, fmt.Errorf("attributes of traces: %w", err)
	}
	otel.SetErrorHandler(&complaints{logger: cfg.Logger, now: cfg.Now})
	return newTracer(cfg.Ratio, sdk.WithBatcher(exporter), sdk.WithResource(about)), nil
}

func newTracer(ratio float64, options ...sdk.TracerProviderOption) *Tracer {
	p := sdk.NewTracerProvider(append(options, sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(given{}))...)
	return &Tracer{below: below(ratio), provider: p, tracer: p.Tracer("gnomon")}
}

// Close tells what is not told yet, for a moment.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Attr is something that a span says.
type Attr = attribute.KeyValue

// Int is a number.
func Int[T ~int | ~int16 | ~int32 | ~int64 | ~uint64](key string, v T) Attr {
	return attribute.Int64(key, int64(v))
}

// Text is a text: no part of a record.
func Text(key, v string) Attr { return attribute.String(key, v) }

// Span is something that is over.
type Span struct {
	Name       string
	Ref        Ref // the span's own; with Parent the zero Ref means that nobody needs to know it
	Parent     Ref
	Start, End time.Time
	Links      []Ref // to spans of other traces
	Attrs      []Attr
	Err        error
}

// Tell tells a span. It tells nothing of what is not traced.
func (t *Tracer) Tell(s Span) {
	if t == nil || !s.Ref.On() && !s.Parent.On() {
		return
	}
	ctx := context.WithValue(context.Background(), givenKey{}, s.Ref)
	options := []trace.SpanStartOption{trace.WithTimestamp(s.Start), trace.WithAttributes(s.Attrs...)}
	if s.Parent.On() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, s.Parent.context())
	}
	for _, l := range s.Links {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: l.context()}))
	}
	_, span := t.tracer.Start(ctx, s.Name, options...)
	if s.Err != nil {
		span.SetStatus(codes.Error, s.Err.Error())
	}
	span.End(trace.WithTimestamp(s.End))
}

func (r Ref) context() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: r.trace, SpanID: r.span, TraceFlags: trace.FlagsSampled, Remote: true})
}

// given gives spans the ids that Tell has for them.
type given struct{}

type givenKey struct{}

func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	r, _ := ctx.Value(givenKey{}).(Ref)
	return r.trace, r.span
}

func (given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if r, _ := ctx.Value(givenKey{}).(Ref); r.On() {
		return r.span
	}
	return (*Tracer).Note(&Tracer{}).Ref.span
}

// complaints are the exporter's, of which one a minute is logged: it tries each few seconds.
type complaints struct {
	logger *slog.Logger
	now    func() time.Time
	last   atomic.Int64 // Unix nanoseconds
}

const complaintEvery = time.Minute

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	now, last := c.now().UnixNano(), c.last.Load()
	if now-last < int64(complaintEvery) || !c.last.CompareAndSwap(last, now) {
		return
	}
	c.logger.Warn("traces are not taken", "error", strings.TrimSpace(err.Error()))
}
