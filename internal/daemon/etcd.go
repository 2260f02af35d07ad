package daemon

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
)

// etcdOptions are what the region's etcd is shown.
type etcdOptions struct {
	files              tlsfiles.Files
	user, passwordFile string
}

// passwordVariable holds the password itself, for those who have it nowhere else. It is no setting: a password in an argument would be
// seen by everybody on the machine, and one in the configuration file by its readers.
const passwordVariable = "GNOMON_ETCD_PASSWORD"

func (o *etcdOptions) settings() settings {
	return settings{
		{"etcd-tls-ca", "PEM file of the authorities of etcd's certificates, for https", false, text(&o.files.CA)},
		{"etcd-tls-cert", "PEM file of the certificate that etcd wants to see", false, text(&o.files.Cert)},
		{"etcd-tls-key", "PEM file of its key", false, text(&o.files.Key)},
		{"etcd-user", "user of etcd; `gnomon etcd users` makes it", false, text(&o.user)},
		{"etcd-password-file", "file with its password; or " + passwordVariable + ", the password itself", false, text(&o.passwordFile)},
	}
}

func (o *etcdOptions) validate(endpoints []string) error {
	if err := o.files.Paired("etcd-"); err != nil {
		return err
	}
	return schemes(!o.files.None(), "etcd-tls-ca", named{"etcd", endpoints})
}

// open reads certificates and the password.
func (o *etcdOptions) open(env Env, logger *slog.Logger) (a region.EtcdAccess, err error) {
	if !o.files.None() {
		if a.TLS, err = tlsfiles.Open(o.files, env.Now, logger); err != nil {
			return a, err
		}
	}
	a.User, a.Password = o.user, strings.TrimSpace(env.Getenv(passwordVariable))
	if o.passwordFile != "" {
		a.Password, err = tlsfiles.ReadSecret(o.passwordFile)
	}
	if err == nil && (a.User == "") != (a.Password == "") {
		err = errors.New("etcd-user and its password belong together: set etcd-user, and etcd-password-file or " + passwordVariable)
	}
	return a, err
}
