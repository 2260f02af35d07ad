package ops

import (
	"github.com/spf13/pflag"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/daemon"
	"github.com/gnomon-stream/gnomon/internal/dev"
)

// observeFlags are those flags of gnomon dev that say what it tells of itself; agents and coordinators have settings of the same names.
type observeFlags struct {
	prices        string
	level, format string
}

func (o *observeFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.prices, "store-prices", "", "what the store bills, for its metrics of cost: none, s3-us-east-1, s3-eu-central-1, or a YAML file; S3's by the region for buckets at AWS, else none")
	f.StringVar(&o.level, "log-level", "warn", "debug, info, warn or error")
	f.StringVar(&o.format, "log-format", "text", "text or json")
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
