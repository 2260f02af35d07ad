package region

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// Security of a process's admin port, and of what the process asks of others in its region.
type Security struct {
	TLS   *tlsfiles.Set   // nil: plain HTTP
	Token *tlsfiles.Token // of operators; nil: none is taken
	// TrustedNetwork allows a port beyond loopback without TLS or token: something else keeps strangers off.
	TrustedNetwork bool
}

// check refuses a port that strangers could reach and nothing protects.
func (s Security) check(l net.Listener) error {
	addr, ok := l.Addr().(*net.TCPAddr)
	if ok && addr.IP.IsLoopback() || s.TrustedNetwork || s.TLS != nil && s.Token != nil {
		return nil
	}
	return fmt.Errorf("admin address %s is beyond loopback, and whoever reaches it could fail the region over: "+
		"set tls-cert, tls-key, tls-ca and admin-token-file, or listen on 127.0.0.1, or say admin-insecure: true if the network itself keeps strangers off", l.Addr())
}

// warn tells an operator at each start that nothing protects the port.
func (s Security) warn(logger *slog.Logger, l net.Listener) {
	if addr, ok := l.Addr().(*net.TCPAddr); s.TrustedNetwork && s.TLS == nil && !(ok && addr.IP.IsLoopback()) {
		logger.Warn("admin-insecure is set: whoever reaches this port can read the log, commit and fail the region over", "listener", l.Addr().String())
	}
}

func (s Security) scheme() string {
	if s.TLS != nil {
		return "https://"
	}
	return "http://"
}

// RegisterExpiry adds when certificates expire to the metrics.
func RegisterExpiry(r prometheus.Registerer, sets map[string]*tlsfiles.Set) {
	for use, set := range sets {
		if set == nil {
			continue
		}
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gnomon_tls_certificate_expiry_seconds", Help: "When the certificate in use expires, Unix time; 0 without one.",
			ConstLabels: prometheus.Labels{"use": use},
		}, func() float64 {
			if at := set.NotAfter(); !at.IsZero() {
				return float64(at.Unix())
			}
			return 0
		}))
	}
}
