package daemon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
)

func text(into *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return errors.New("it is empty")
		}
		*into = v
		return nil
	}
}

func address(into *string) func(string) error {
	return func(v string) error {
		_, port, err := net.SplitHostPort(v)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return errors.New("use host:port, such as 10.0.0.5:9092")
		}
		*into = v
		return nil
	}
}

// number takes an integer from low to high.
func number[T ~int | ~int32 | ~int64 | ~uint64 | ~uint8](into *T, low, high int64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("use a number from %d to %d", low, high)
		}
		*into = T(n)
		return nil
	}
}

func yesNo(into *bool) func(string) error {
	return func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return errors.New("use true or false")
		}
		*into = b
		return nil
	}
}

// duration takes a time, such as 3s, from 0 to high.
func duration(into *time.Duration, high time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > high {
			return fmt.Errorf("use a time from 0s to %s, such as 3s", high)
		}
		*into = d
		return nil
	}
}

func httpURL(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", errors.New("use http://host:port, or https://host:port")
	}
	return u.Scheme + "://" + u.Host, nil
}

func oneURL(into *string) func(string) error {
	return func(v string) (err error) {
		*into, err = httpURL(v)
		return err
	}
}

// urls takes one URL or more, with commas between them.
func urls(into *[]string) func(string) error {
	return func(v string) error {
		var out []string
		for _, one := range strings.Split(v, ",") {
			u, err := httpURL(strings.TrimSpace(one))
			if err != nil {
				return err
			}
			out = append(out, u)
		}
		*into = out
		return nil
	}
}

func clusterID(into *base.ClusterID) func(string) error {
	return func(v string) error {
		b, err := hex.DecodeString(v)
		if err != nil || len(b) != len(into) {
			return fmt.Errorf("use %d hexadecimal digits, for example from `openssl rand -hex %d`", 2*len(into), len(into))
		}
		*into = base.ClusterID(b)
		return nil
	}
}

func profile(into *appender.Config) func(string) error {
	return func(v string) error {
		switch v {
		case "latency":
			*into = appender.Config{}
		case "cost":
			*into = appender.CostProfile()
		default:
			return errors.New("use latency or cost")
		}
		return nil
	}
}

func level(into *slog.Level) func(string) error {
	return func(v string) error {
		if err := into.UnmarshalText([]byte(v)); err != nil {
			return errors.New("use debug, info, warn or error")
		}
		return nil
	}
}
