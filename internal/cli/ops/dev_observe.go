package ops

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/daemon"
	"github.com/gnomon-stream/gnomon/internal/dev"
)

// observeFlags are those flags of gnomon dev that say what it tells of itself; agents and coordinators have settings of the same names.
type observeFlags struct {
	prices        string
	level, format string
	endpoint      string
	traces        daemon.TraceOptions
}

func (o *observeFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.prices, "store-prices", "", "what the store bills, for its metrics of cost: none, s3-us-east-1, s3-eu-central-1, or a YAML file; S3's by the region for buckets at AWS, else none")
	f.StringVar(&o.level, "log-level", "warn", "debug, info, warn or error")
	f.StringVar(&o.endpoint, "trace-endpoint", "", "collector of OpenTelemetry traces (OTLP over gRPC), such as http://127.0.0.1:4317; none for no traces")
	f.Float64Var(&o.traces.Ratio, "trace-ratio", daemon.TraceRatioDefault, "part of the objects that is traced, 0 to 1")
	f.StringVar(&o.format, "log-format", "text", "text or json")
}

// start makes what needs a context; the end of the process calls what it returns.
func (o *observeFlags) start(ctx context.Context, env *cli.Env, into *dev.Options) (end func(), err error) {
	if o.endpoint != "" {
		if o.traces.Endpoint, err = daemon.ParseTraceEndpoint(o.endpoint); err != nil {
			return nil, cli.Usage("--trace-endpoint is %q: %v", o.endpoint, err)
		}
	}
	if !(o.traces.Ratio >= 0 && o.traces.Ratio <= 1) {
		return nil, cli.Usage("--trace-ratio is %v: use a number from 0 to 1", o.traces.Ratio)
	}
	into.Trace, end, err = daemon.NewTracer(ctx, o.traces, "gnomon-dev", "gnomon-dev", env.Version.Version, into.Logger, env.Now)
	return end, err
}

func (o *observeFlags) apply(env *cli.Env, into *dev.Options) error {
	if o.prices != "" {
		p, err := daemon.ReadPrices(o.prices)
		if err != nil {
			return cli.Usage("--store-prices is %q: %v", o.prices, err)
		}
		into.Prices = p
	}
	var logs daemon.LogOptions
	if err := logs.Level.UnmarshalText([]byte(o.level)); err != nil {
		return cli.Usage("--log-level is %q: use debug, info, warn or error", o.level)
	}
	var err error
	if logs.JSON, err = daemon.ParseLogFormat(o.format); err != nil {
		return cli.Usage("--log-format is %q: %v", o.format, err)
	}
	into.Logger = daemon.NewLogger(env.Err, logs)
	return nil
}
