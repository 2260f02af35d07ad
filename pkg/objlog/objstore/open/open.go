// Package open makes a Store of a URL, so that one setting names a bucket of any kind:
//
//	file:///var/lib/gnomon/bucket
//	s3://bucket/prefix?region=eu-central-1
//	s3://bucket?endpoint=http://127.0.0.1:9000&region=us-east-1&path_style=true
//
// What a URL of scheme s3 may ask for:
//
//   - region: else that of the AWS environment; with an endpoint, us-east-1.
//   - endpoint: the store's http or https URL, without a path; else AWS.
//   - path_style: true or false; true if there is an endpoint, else false.
//   - sign_payload: true or false (default): see s3.Options.SignPayload.
//   - profile: of the credentials file.
//
// Credentials are never in the URL. They come from the file that [Options] names, else from the standard AWS chain
// (environment, shared files, web identity, container, instance). The file is read again when it changes, so keys can be
// rotated under a running process.
//
// Errors are one sentence each. They quote names from the URL, but no values, and not the URL: what somebody put there by
// mistake may be a secret.
package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/directory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/s3"
)

// Options are what does not belong into a URL. The zero value will do.
type Options struct {
	// CredentialsFile is a file in the form of ~/.aws/credentials, for this bucket alone; empty means the AWS chain.
	CredentialsFile string
	// S3 is where the options of an S3 bucket start from; the URL overrides what it names.
	S3 s3.Options
	// MustExist makes a directory that is not there an error, base.ErrNotFound: for those who only look.
	MustExist bool
}

// Open returns the store that the URL names. It makes a directory that is not there, unless it must exist; of an S3 bucket it sends nothing
// but what finding the credentials takes: see objstore.ProbeConditionalPut for a look at the bucket itself.
func Open(ctx context.Context, rawURL string, o Options) (objstore.Store, error) {
	u, query, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		return openDirectory(u, query, o.MustExist)
	}
	so, err := s3Options(ctx, u, query, o)
	if err != nil {
		return nil, err
	}
	s, err := s3.New(so)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ErrNotS3 says that a URL names a directory where a bucket of an S3-compatible store is wanted.
var ErrNotS3 = errors.New("the URL names a directory, which needs no preparation")

// S3Options returns what a URL of scheme s3 says of the bucket, with credentials and region found; ErrNotS3 for a directory.
func S3Options(ctx context.Context, rawURL string, o Options) (s3.Options, error) {
	u, query, err := parse(rawURL)
	if err != nil {
		return s3.Options{}, err
	}
	if u.Scheme != "s3" {
		return s3.Options{}, ErrNotS3
	}
	return s3Options(ctx, u, query, o)
}

// parse returns a URL of a scheme that is known, and its query.
func parse(rawURL string) (*url.URL, url.Values, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, nil, errors.New("the bucket's URL cannot be parsed")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, nil, errors.New("the query of the bucket's URL cannot be parsed")
	}
	if u.User != nil {
		return nil, nil, errors.New("the bucket's URL has credentials in it; put them into the environment or a credentials file")
	}
	if u.Fragment != "" || u.Opaque != "" {
		return nil, nil, fmt.Errorf("the bucket's URL is not of the form %s", "file:///directory or s3://bucket/prefix")
	}
	switch u.Scheme {
	case "file", "s3":
		return u, query, nil
	case "":
		return nil, nil, errors.New("the bucket's URL has no scheme: use file:///directory or s3://bucket/prefix")
	default:
		return nil, nil, fmt.Errorf("the bucket's URL has the unknown scheme %q: use file or s3", u.Scheme)
	}
}

func openDirectory(u *url.URL, query url.Values, mustExist bool) (objstore.Store, error) {
	if err := allow("file", query); err != nil {
		return nil, err
	}
	if u.Host != "" || !filepath.IsAbs(filepath.FromSlash(u.Path)) {
		return nil, errors.New("a file URL of a bucket needs three slashes and an absolute path: file:///directory")
	}
	dir := filepath.FromSlash(u.Path)
	if _, err := os.Stat(dir); mustExist && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s: %w", dir, base.ErrNotFound)
	}
	s, err := directory.Open(dir)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func s3Options(ctx context.Context, u *url.URL, query url.Values, o Options) (s3.Options, error) {
	if err := allow("s3", query, "endpoint", "region", "path_style", "sign_payload", "profile"); err != nil {
		return s3.Options{}, err
	}
	if u.Host == "" || u.Port() != "" {
		return s3.Options{}, errors.New("an s3 URL needs the bucket's name after the two slashes: s3://bucket/prefix")
	}
	so := o.S3
	so.Bucket, so.Prefix = u.Host, strings.Trim(u.Path, "/")
	if err := setEndpoint(&so, query); err != nil {
		return s3.Options{}, err
	}
	if err := setBool(&so.PathStyle, query, "path_style"); err != nil {
		return s3.Options{}, err
	}
	if err := setBool(&so.SignPayload, query, "sign_payload"); err != nil {
		return s3.Options{}, err
	}
	if region := query.Get("region"); region != "" {
		so.Region = region
	}
	if err := setIdentity(ctx, &so, o.CredentialsFile, query.Get("profile")); err != nil {
		return s3.Options{}, err
	}
	return so, nil
}

func setEndpoint(so *s3.Options, query url.Values) error {
	raw := query.Get("endpoint")
	if raw == "" {
		return nil
	}
	e, err := url.Parse(raw)
	switch {
	case err != nil, e.Scheme != "http" && e.Scheme != "https", e.Host == "":
		return errors.New("endpoint in the bucket's URL is not an http or https URL")
	case e.User != nil:
		return errors.New("endpoint in the bucket's URL has credentials in it; put them into the environment or a credentials file")
	case strings.Trim(e.Path, "/") != "" || e.RawQuery != "" || e.Fragment != "":
		return errors.New("endpoint in the bucket's URL may have a host and a port, nothing after them")
	}
	so.Endpoint, so.PathStyle = raw, true
	return nil
}

func setBool(to *bool, query url.Values, name string) error {
	switch value := query.Get(name); value {
	case "":
	case "true", "1":
		*to = true
	case "false", "0":
		*to = false
	default:
		return fmt.Errorf("%s in the bucket's URL is neither true nor false", name)
	}
	return nil
}

// allow refuses a query that has other names than these, or one of them twice.
func allow(scheme string, query url.Values, names ...string) error {
	given := make([]string, 0, len(query))
	for name := range query {
		given = append(given, name)
	}
	slices.Sort(given) // one error, always the same
	for _, name := range given {
		if !slices.Contains(names, name) {
			if len(names) == 0 {
				return fmt.Errorf("%q in the bucket's URL is unknown: scheme %s takes no settings", name, scheme)
			}
			return fmt.Errorf("%q in the bucket's URL is unknown: scheme %s takes %s", name, scheme, strings.Join(names, ", "))
		}
		if len(query[name]) > 1 {
			return fmt.Errorf("%q is more than once in the bucket's URL", name)
		}
	}
	return nil
}
