package daemon

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// security are the settings of traffic inside a region, the same for agents and coordinators.
type security struct {
	files    tlsfiles.Files
	token    string // path
	insecure bool
}

func (s *security) settings() settings {
	return settings{
		{"tls-cert", "PEM file of the certificate that this process shows, as a server and as a client", false, text(&s.files.Cert)},
		{"tls-key", "PEM file of its key", false, text(&s.files.Key)},
		{"tls-ca", "PEM file of the authorities whose certificates count inside the region", false, text(&s.files.CA)},
		{"admin-token-file", "file with the token that operators present; at least 16 characters", false, text(&s.token)},
		{"admin-insecure", "whether the admin port may be open beyond loopback without TLS and a token, since the network itself keeps strangers off; default false", false, yesNo(&s.insecure)},
	}
}

// named are the URLs of a setting.
type named struct {
	setting string
	urls    []string
}

func (s *security) validate(lists ...named) error {
	if !s.files.None() {
		if err := s.files.Complete(""); err != nil {
			return err
		}
	}
	return s.schemes(lists...)
}

// schemes checks that URLs are https with TLS, and http without.
func (s *security) schemes(lists ...named) error {
	return schemes(!s.files.None(), "tls-ca", lists...)
}

func schemes(secure bool, setting string, lists ...named) error {
	for _, l := range lists {
		for _, u := range l.urls {
			switch {
			case secure && strings.HasPrefix(u, "http:"):
				return fmt.Errorf("%s has %s, but %s is set: use https://", l.setting, u, setting)
			case !secure && strings.HasPrefix(u, "https:"):
				return fmt.Errorf("%s has %s, but no TLS is configured: set %s and what belongs to it", l.setting, u, setting)
			}
		}
	}
	return nil
}

// open reads the files.
func (s *security) open(env Env, logger *slog.Logger) (region.Security, error) {
	out := region.Security{TrustedNetwork: s.insecure}
	var err error
	if !s.files.None() {
		if out.TLS, err = tlsfiles.Open(s.files, env.Now, logger); err != nil {
			return out, err
		}
	}
	if s.token != "" {
		out.Token, err = tlsfiles.OpenToken(s.token, env.Now, logger)
	}
	return out, err
}
