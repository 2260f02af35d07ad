package linkconfig

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// credential is one that a link can need. Its settings are <name>_file and, where a value fits into an environment
// variable, <name>_env; in LinkConfig.CredentialFiles they have these same names as keys.
type credential struct {
	name string
	env  bool
	// used tells whether this version does anything with it; else there is a warning.
	used bool
}

var credentials = []credential{
	{name: "bucket_credentials", used: true}, // a file in the form of ~/.aws/credentials
	{name: "etcd_username", env: true, used: true},
	{name: "etcd_password", env: true, used: true},
	{name: "etcd_ca", used: true},
	{name: "etcd_cert", used: true},
	{name: "etcd_key", used: true},
	{name: "coordinator_token", env: true},
	{name: "coordinator_ca", used: true},
	{name: "coordinator_cert", used: true},
	{name: "coordinator_key", used: true},
}

// environmentName is POSIX's rule for the name of a variable: a secret in its place is not likely to pass.
var environmentName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]{0,127}$`)

func sourceSchema() schema {
	s := schema{
		"coordinators": func(p *parser, f field) {
			p.lines["coordinators"] = f.line
			p.config.Link.Coordinators = f.urls(p, "a coordinator's admin URL, such as http://10.0.0.5:9644")
		},
		"etcd": func(p *parser, f field) {
			p.config.Link.EtcdEndpoints = f.urls(p, "an etcd endpoint, such as http://10.0.0.5:2379")
		},
		"bucket": func(p *parser, f field) {
			p.lines["bucket"] = f.line
			if raw, ok := f.text(p); ok {
				f.checkBucket(p, raw)
				p.config.Link.Bucket = raw
			}
		},
		// What people will try first. The name that messages give is that of the file setting.
		"bucket_access_key": refuseSecret,
		"bucket_secret_key": refuseSecret,
	}
	for _, c := range credentials {
		c.add(s)
	}
	return s
}

// add enters a credential's settings, and its inline form as an error.
func (c credential) add(s schema) {
	keep := func(p *parser, f field, value string) {
		p.config.Link.CredentialFiles[f.name] = value
		p.lines[f.name] = f.line
		if !c.used {
			p.warn(f.line, "%s is kept with the link and not used: a link shows a certificate, tokens are for operators", f.name)
		}
	}
	s[c.name] = refuseSecret
	s[c.name+"_file"] = func(p *parser, f field) {
		path, ok := f.text(p)
		switch {
		case !ok:
		case strings.Contains(path, "-----BEGIN"):
			p.fail(f.line, "%s holds a certificate or key inline; give the path of a file that holds it", f.name)
		case !filepath.IsAbs(path):
			p.fail(f.line, "%s must be an absolute path: the file is read by the shadow's coordinators and agents, each in its own folder", f.name)
		default:
			keep(p, f, path)
		}
	}
	if !c.env {
		return
	}
	s[c.name+"_env"] = func(p *parser, f field) {
		name, ok := f.text(p)
		switch {
		case !ok:
		case !environmentName.MatchString(name):
			p.fail(f.line, "%s must be the name of an environment variable (capitals, digits, _), not its value", f.name)
		default:
			keep(p, f, name)
		}
	}
}

// refuseSecret turns down a secret in the file. It does not look at it.
func refuseSecret(p *parser, f field) {
	switch f.name {
	case "bucket_access_key", "bucket_secret_key", "bucket_credentials":
		p.fail(f.line, "%s holds a secret inline; put it into a file in the form of ~/.aws/credentials and name that by bucket_credentials_file", f.name)
	default:
		p.fail(f.line, "%s holds a secret inline, and link.yaml is kept in the cluster's log; name a file by %s_file (or, for a password, a variable by %s_env)",
			f.name, f.name, f.name)
	}
}

// urls reads a list of http or https URLs.
func (f field) urls(p *parser, want string) []string {
	var out []string
	f.items(p, func(p *parser, item field) {
		raw, ok := item.text(p)
		if !ok {
			return
		}
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			p.fail(item.line, "%s is not %s", item.name, want)
		case u.User != nil:
			p.fail(item.line, "%s has credentials in it, and link.yaml is kept in the cluster's log; name a file that holds them", item.name)
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			p.fail(item.line, "%s may have a host and a port, nothing after them", item.name)
		default:
			out = append(out, raw)
		}
	})
	return out
}

// secretWords in a query's key give a secret away.
var secretWords = []string{"secret", "token", "password", "access_key", "accesskey", "credential", "signature"}

// checkBucket looks at a bucket's URL as far as that needs no backend: whoever opens it checks the rest.
func (f field) checkBucket(p *parser, raw string) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		p.fail(f.line, "bucket is not a URL such as s3://bucket/prefix?region=eu-central-1 or file:///directory")
		return
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		p.fail(f.line, "the query of bucket's URL cannot be parsed")
		return
	}
	endpoint, err := url.Parse(query.Get("endpoint"))
	inline := u.User != nil || err == nil && endpoint.User != nil
	for key := range query {
		for _, word := range secretWords {
			inline = inline || strings.Contains(strings.ToLower(key), word)
		}
	}
	switch {
	case inline:
		p.fail(f.line, "bucket's URL has a secret in it, and link.yaml is kept in the cluster's log; name a file by bucket_credentials_file")
	case err != nil:
		p.fail(f.line, "endpoint in bucket's URL is not a URL")
	case u.Scheme == "file" && (u.Host != "" || !strings.HasPrefix(u.Path, "/")):
		p.fail(f.line, "bucket with scheme file needs three slashes and an absolute path: file:///directory")
	case u.Scheme == "s3" && u.Host == "":
		p.fail(f.line, "bucket with scheme s3 needs the bucket's name after the two slashes: s3://bucket/prefix")
	case u.Scheme != "file" && u.Scheme != "s3":
		p.fail(f.line, "bucket's URL must have the scheme s3 or file")
	}
}
