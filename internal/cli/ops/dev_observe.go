package ops

import (
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/daemon"
	"github.com/gnomon-stream/gnomon/internal/dev"
)

// observeFlags are those flags of gnomon dev that say what it tells of itself; agents and coordinators have settings of the same names.
type observeFlags struct {
	prices string
	level  string
}

func (o *observeFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.prices, "store-prices", "", "what the store bills, for its metrics of cost: none, s3-us-east-1, s3-eu-central-1, or a YAML file; S3's by the region for buckets at AWS, else none")
	f.StringVar(&o.level, "log-level", "warn", "debug, info, warn or error")
}

func (o *observeFlags) apply(env *cli.Env, into *dev.Options) error {
	if o.prices != "" {
		p, err := daemon.ReadPrices(o.prices)
		if err != nil {
			return cli.Usage("--store-prices is %q: %v", o.prices, err)
		}
		into.Prices = p
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(o.level)); err != nil {
		return cli.Usage("--log-level is %q: use debug, info, warn or error", o.level)
	}
	into.Logger = slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: l}))
	return nil
}
