package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	testKey    = "AKIDTESTONLY"
	testSecret = "secret-of-this-test"
)

// clientFunc answers requests in the place of a network.
type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, code string, headers ...string) clientFunc {
	return func(r *http.Request) (*http.Response, error) {
		content := ""
		if code != "" {
			content = fmt.Sprintf("<Error><Code>%s</Code><Message>of a test</Message></Error>", code)
		}
		h := http.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			StatusCode: status, Header: h, Request: r,
			ContentLength: int64(len(content)), Body: io.NopCloser(strings.NewReader(content)),
		}, nil
	}
}

func failing(err error) clientFunc {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func newTestStore(t *testing.T, client aws.HTTPClient, slept *int) *Store {
	t.Helper()
	s, err := New(Options{
		Bucket: "b", Prefix: "/p/", Region: "r", Endpoint: "http://store.test", PathStyle: true, HTTPClient: client,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, nil
		}),
		Backoff: objstore.Backoff{Sleep: func(ctx context.Context, _ time.Duration) error {
			if slept != nil {
				*slept++
			}
			return ctx.Err()
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var dialError = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

// TestPutFailures holds the table of the package's comment, and invariant 1: one Put is one request.
func TestPutFailures(t *testing.T) {
	final := errors.New("final")
	for name, test := range map[string]struct {
		client clientFunc
		want   error
	}{
		"exists":         {answering(412, "PreconditionFailed"), objstore.ErrExists},
		"conflict":       {answering(409, "ConditionalRequestConflict"), base.ErrUnavailable},
		"slow down":      {answering(503, "SlowDown"), base.ErrUnavailable},
		"too many":       {answering(429, ""), base.ErrUnavailable},
		"body timeout":   {answering(400, "RequestTimeout"), base.ErrUnavailable},
		"bad digest":     {answering(400, "BadDigest"), base.ErrUnavailable},
		"skewed":         {answering(403, "RequestTimeTooSkewed"), base.ErrUnavailable},
		"internal error": {answering(500, "InternalError"), objstore.ErrAmbiguous},
		"no quorum":      {answering(503, "SlowDownWrite"), objstore.ErrAmbiguous},
		"bad gateway":    {answering(502, ""), objstore.ErrAmbiguous},
		"denied":         {answering(403, "AccessDenied"), final},
		"no bucket":      {answering(404, "NoSuchBucket"), final},
		"redirect":       {answering(301, "PermanentRedirect"), final},
		"refused":        {failing(dialError), base.ErrUnavailable},
		"no such host":   {failing(&net.DNSError{Err: "no such host", Name: "store.test"}), base.ErrUnavailable},
		"reset":          {failing(&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}), objstore.ErrAmbiguous},
		"broken":         {failing(io.ErrUnexpectedEOF), objstore.ErrAmbiguous},
		"timeout":        {failing(context.DeadlineExceeded), objstore.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			s := newTestStore(t, clientFunc(func(r *http.Request) (*http.Response, error) {
				requests++
				return test.client(r)
			}), nil)
			err := s.Put(context.Background(), "k", objstore.Payload{[]byte("x")})
			kinds := []error{objstore.ErrExists, objstore.ErrAmbiguous, base.ErrUnavailable, base.ErrNotFound, io.ErrUnexpectedEOF}
			for _, kind := range kinds {
				if got, want := errors.Is(err, kind), kind == test.want; got != want {
					t.Errorf("errors.Is(%v, %q) = %v, want %v", err, kind, got, want)
				}
			}
			checkError(t, err)
			if requests != 1 {
				t.Errorf("%d requests, want 1", requests)
			}
		})
	}
}

// A name that does not resolve is told with what to do. It is waited for all the same: a store that starts may get its name late.
func TestUnknownName(t *testing.T) {
	s := newTestStore(t, failing(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "store.test", IsNotFound: true}}), nil)
	_, getErr := s.Head(t.Context(), "k")
	for _, err := range []error{s.Put(t.Context(), "k", objstore.Payload{[]byte("x")}), getErr} {
		if !errors.Is(err, base.ErrUnavailable) || !strings.Contains(err.Error(), "store.test does not resolve: correct the endpoint in the bucket's URL") {
			t.Errorf("got %v", err)
		}
	}
}

// checkError holds invariant 4, and that an error names the key.
func checkError(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("no error")
	case strings.Contains(err.Error(), testSecret), strings.Contains(err.Error(), testKey):
		t.Errorf("the error shows credentials: %v", err)
	case !strings.Contains(err.Error(), "k"):
		t.Errorf("the error does not name the key: %v", err)
	}
}

func TestReadFailures(t *testing.T) {
	final := errors.New("final")
	for name, test := range map[string]struct {
		client   clientFunc
		want     error
		requests int
	}{
		"not found":      {answering(404, "NoSuchKey"), base.ErrNotFound, 1},
		"no bucket":      {answering(404, "NoSuchBucket"), final, 1},
		"denied":         {answering(403, "AccessDenied"), final, 1},
		"beyond the end": {answering(416, "InvalidRange"), io.ErrUnexpectedEOF, 1},
		"no range":       {answering(200, ""), final, 1},
		"other range":    {answering(206, "", "Content-Range", "bytes 0-3/4"), final, 1},
		"shorter":        {answering(206, "abc", "Content-Range", "bytes 7-9/10", "Content-Length", "3"), io.ErrUnexpectedEOF, 1},
		"torn":           {answering(206, "", "Content-Range", "bytes 7-106/200", "Content-Length", "100"), base.ErrUnavailable, 4},
		"internal error": {answering(500, "InternalError"), base.ErrUnavailable, 4},
		"slow down":      {answering(503, "SlowDown"), base.ErrUnavailable, 4},
		"refused":        {failing(dialError), base.ErrUnavailable, 4},
		"broken":         {failing(io.ErrUnexpectedEOF), base.ErrUnavailable, 4},
	} {
		t.Run(name, func(t *testing.T) {
			requests, slept := 0, 0
			s := newTestStore(t, clientFunc(func(r *http.Request) (*http.Response, error) {
				requests++
				return test.client(r)
			}), &slept)
			err := s.GetRange(context.Background(), "k", 7, make([]byte, 100))
			for _, kind := range []error{base.ErrUnavailable, base.ErrNotFound, io.ErrUnexpectedEOF} {
				if got, want := errors.Is(err, kind), kind == test.want; got != want {
					t.Errorf("errors.Is(%v, %q) = %v, want %v", err, kind, got, want)
				}
			}
			checkError(t, err)
			if requests != test.requests || slept != requests-1 {
				t.Errorf("%d requests and %d waits, want %d requests", requests, slept, test.requests)
			}
		})
	}
}

// TestReadRepeats: a read survives failures that pass.
func TestReadRepeats(t *testing.T) {
	requests := 0
	s := newTestStore(t, clientFunc(func(r *http.Request) (*http.Response, error) {
		switch requests++; requests {
		case 1:
			return nil, io.ErrUnexpectedEOF
		case 2:
			return answering(503, "SlowDown")(r)
		case 3:
			return answering(200, "", "Content-Length", "5")(r) // torn
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Length": {"5"}}, Request: r,
			ContentLength: 5, Body: io.NopCloser(strings.NewReader("hello"))}, nil
	}), nil)
	got, err := s.Get(context.Background(), "k", 5)
	if err != nil || string(got) != "hello" || requests != 4 {
		t.Fatalf("%q, %v after %d requests", got, err, requests)
	}
}

// TestGetChecksum: damage on the way is not handed on.
func TestGetChecksum(t *testing.T) {
	content := []byte("hello")
	for damaged, want := range map[bool]error{false: nil, true: base.ErrUnavailable} {
		s := newTestStore(t, clientFunc(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
				t.Error("the checksum was not asked for")
			}
			sent := bytes.Clone(content)
			if damaged {
				sent[2] ^= 1
			}
			h := http.Header{"Content-Length": {"5"}, "X-Amz-Checksum-Crc32c": {checksum(objstore.Payload{content})}}
			return &http.Response{StatusCode: 200, Header: h, Request: r, ContentLength: 5,
				Body: io.NopCloser(bytes.NewReader(sent))}, nil
		}), nil)
		if _, err := s.Get(context.Background(), "k", 5); !errors.Is(err, want) {
			t.Errorf("damaged %v: %v, want %v", damaged, err, want)
		}
	}
}

// TestPutRequest holds what is asked of the store on the wire.
func TestPutRequest(t *testing.T) {
	payload := objstore.Payload{[]byte("he"), nil, []byte("llo")}
	s := newTestStore(t, clientFunc(func(r *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(r.Body)
		if err != nil || string(sent) != "hello" || r.ContentLength != 5 {
			t.Errorf("sent %q (length %d), %v", sent, r.ContentLength, err)
		}
		if got := r.Method + " " + r.URL.String(); got != "PUT http://store.test/b/p/k?x-id=PutObject" {
			t.Errorf("request is %s", got)
		}
		for header, want := range map[string]string{
			"If-None-Match": "*", "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD", "X-Amz-Checksum-Crc32c": "mnG7TA==",
			"Expect": "", "Content-Encoding": "",
		} {
			if got := r.Header.Get(header); got != want {
				t.Errorf("%s is %q, want %q", header, got, want)
			}
		}
		return answering(200, "")(r)
	}), nil)
	if err := s.Put(context.Background(), "k", payload); err != nil {
		t.Fatal(err)
	}
}

// TestPutReleasesPayload: a transport that goes on reading after its answer gets nothing of the payload (invariant 2).
func TestPutReleasesPayload(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 1<<20)
	returned := make(chan struct{})
	var late atomic.Int64
	done := make(chan struct{})
	s := newTestStore(t, clientFunc(func(r *http.Request) (*http.Response, error) {
		stream := r.Body
		go func() { // as net/http's writer does
			defer close(done)
			<-returned
			n, _ := io.Copy(io.Discard, stream)
			late.Store(n)
		}()
		return answering(503, "SlowDown")(r)
	}), nil)
	if err := s.Put(context.Background(), "k", objstore.Payload{content}); !errors.Is(err, base.ErrUnavailable) {
		t.Fatal(err)
	}
	close(returned)
	clear(content) // the race detector sees it if the transport still reads
	<-done
	if late.Load() != 0 {
		t.Fatalf("%d bytes were read after Put had returned", late.Load())
	}
}

func TestBody(t *testing.T) {
	p := objstore.Payload{[]byte("ab"), nil, []byte("c"), {}, []byte("defg"), nil}
	whole := "abcdefg"
	for position := range len(whole) + 1 {
		for size := 1; size <= 8; size++ {
			b := newBody(p)
			if _, err := b.Seek(int64(position), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			var got []byte
			chunk := make([]byte, size)
			for {
				n, err := b.Read(chunk)
				got = append(got, chunk[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if string(got) != whole[position:] {
				t.Fatalf("from %d by %d: %q, want %q", position, size, got, whole[position:])
			}
		}
	}
	b := newBody(p)
	if end, err := b.Seek(0, io.SeekEnd); err != nil || end != 7 {
		t.Fatalf("the end is %d, %v", end, err)
	}
	if at, err := b.Seek(-3, io.SeekCurrent); err != nil || at != 4 {
		t.Fatalf("three before the end is %d, %v", at, err)
	}
	for _, bad := range []int64{-1, 8} {
		if _, err := b.Seek(bad, io.SeekStart); err == nil {
			t.Errorf("seek to %d is no error", bad)
		}
	}
	b.release()
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errReleased) {
		t.Fatalf("read after release: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{Bucket: "b", Region: "r", Credentials: aws.AnonymousCredentials{}}
	for name, change := range map[string]func(*Options){
		"no bucket":      func(o *Options) { o.Bucket = "" },
		"no region":      func(o *Options) { o.Region = "" },
		"no credentials": func(o *Options) { o.Credentials = nil },
		"bad prefix":     func(o *Options) { o.Prefix = "a/../b" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := New(good)
	if err != nil || s.String() != "s3://b" {
		t.Fatalf("%v, %v", s, err)
	}
}
