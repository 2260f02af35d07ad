package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	// requestTimeout bounds one request: time for 16 MiB at 5 Mbit/s.
	requestTimeout = 30 * time.Second
	// connectionsMax is how many idle connections are kept: as many as an agent has requests in flight.
	connectionsMax = 256
	// socketBuffer is what net/http copies a body through.
	socketBuffer = 128 << 10
	// attemptsMax is how often a request other than a Put is sent.
	attemptsMax = 4
	// deleteBatch is what S3 allows in one DeleteObjects.
	deleteBatch = 1000
	// listPage is what S3 returns at most.
	listPage = 1000
	// putBytesMax is what S3 allows in one PutObject.
	putBytesMax = 5 << 30
)

// Options say where the bucket is and how it is spoken to.
type Options struct {
	Bucket string
	// Prefix is put before every key, with a slash between; may be empty.
	Prefix string
	Region string
	// Endpoint is the store's URL; empty means AWS.
	Endpoint string
	// PathStyle puts the bucket in the path instead of the host's name.
	PathStyle bool
	// Credentials sign the requests.
	Credentials aws.CredentialsProvider
	// SignPayload includes the body in the signature: for plain http on a network that is not trusted to leave bytes as
	// they are. It costs one SHA-256 of all that is written.
	SignPayload bool
	// Timeout bounds one request, body included; 0 means 30 s.
	Timeout time.Duration
	// Backoff says how requests other than Put are repeated; Attempts 0 means 4.
	Backoff objstore.Backoff
	// HTTPClient replaces the HTTP client: for tests, and for private certificate authorities. Timeout is then the
	// client's own matter.
	HTTPClient aws.HTTPClient
}

// Store is a bucket, or a prefix of one. All methods may be called concurrently.
type Store struct {
	client    *s3.Client
	bucket    string
	prefix    string // empty, or ends in a slash
	backoff   objstore.Backoff
	closeIdle func()
}

var _ objstore.Store = (*Store)(nil)

// New returns the store; it sends nothing.
func New(o Options) (*Store, error) {
	prefix := strings.Trim(o.Prefix, "/")
	switch {
	case o.Bucket == "":
		return nil, errors.New("the S3 bucket has no name")
	case o.Region == "":
		return nil, errors.New("the S3 bucket's region is not set")
	case o.Credentials == nil:
		return nil, errors.New("there are no credentials for the S3 bucket")
	case prefix != "":
		if err := objstore.ValidateKey(prefix); err != nil {
			return nil, fmt.Errorf("prefix of the S3 bucket: %w", err)
		}
		prefix += "/"
	}
	s := &Store{bucket: o.Bucket, prefix: prefix, backoff: o.Backoff, closeIdle: func() {}}
	if s.backoff.Attempts == 0 {
		s.backoff.Attempts = attemptsMax
	}
	client := o.HTTPClient
	if client == nil {
		own := newHTTPClient(o.Timeout)
		client, s.closeIdle = own, own.CloseIdleConnections
	}
	s.client = s3.New(sdkOptions(o, client))
	return s, nil
}

func newHTTPClient(timeout time.Duration) *http.Client {
	if timeout <= 0 {
		timeout = requestTimeout
	}
	t := awshttp.NewBuildableClient().GetTransport()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = connectionsMax, connectionsMax
	t.ReadBufferSize, t.WriteBufferSize = socketBuffer, socketBuffer
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} // no HTTP/2
	t.DisableCompression = true
	// A redirect would send the request, and its signature's headers, to another host.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: t, Timeout: timeout, CheckRedirect: stay}
}

func sdkOptions(o Options, client aws.HTTPClient) s3.Options {
	options := s3.Options{
		Region:       o.Region,
		Credentials:  o.Credentials,
		HTTPClient:   client,
		UsePathStyle: o.PathStyle,
		// Repetitions are this package's own: see again.
		Retryer: aws.NopRetryer{},
		// The checksums that matter are asked for call by call.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,

		ContinueHeaderThresholdBytes:              -1,
		DisableLogOutputChecksumValidationSkipped: true,
	}
	if o.Endpoint != "" {
		options.BaseEndpoint = aws.String(strings.TrimRight(o.Endpoint, "/"))
	}
	if !o.SignPayload {
		options.APIOptions = append(options.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
	return options
}

// String gives "s3://bucket/prefix".
func (s *Store) String() string { return "s3://" + strings.TrimSuffix(s.bucket+"/"+s.prefix, "/") }

// Close closes the connections that are idle.
func (s *Store) Close() error {
	s.closeIdle()
	return nil
}

func (s *Store) path(key string) *string { return aws.String(s.prefix + key) }

// again sends a request that may be repeated until it succeeds, fails for good, or the attempts are used up. doing and
// key name it in the error.
func (s *Store) again(ctx context.Context, doing, key string, request func() error) error {
	for failures := 1; ; failures++ {
		err := request()
		if err == nil {
			return nil
		}
		err = classify(err)
		if !retriable(err) || s.backoff.Spent(failures) || ctx.Err() != nil {
			return fmt.Errorf("%s %s: %w", doing, key, err)
		}
		if waitErr := s.backoff.Wait(ctx, failures); waitErr != nil {
			return fmt.Errorf("%s %s: %w (%w)", doing, key, err, waitErr)
		}
	}
}
