package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// failure is a cause that is shown but not matched, since what it wraps would say something else to the caller: an
// io.ErrUnexpectedEOF of a connection is not one of an object (invariant 3 of the package).
type failure struct{ cause error }

// Error tells what to look at where the name of the store does not resolve. It may yet: whoever waits for a store waits on.
func (f failure) Error() string {
	var dns *net.DNSError
	if errors.As(f.cause, &dns) && dns.IsNotFound {
		return fmt.Sprintf("the store's name %s does not resolve: correct the endpoint in the bucket's URL, unless its DNS entry is still to come (%v)", dns.Name, f.cause)
	}
	return f.cause.Error()
}

// Is lets the caller's own cancellation be seen, and nothing else.
func (f failure) Is(target error) bool {
	return (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(f.cause, target)
}

// repeatCodes are error codes, of whatever status, that say: not done, ask again.
var repeatCodes = map[string]bool{
	"SlowDown":                  true,
	"TooManyRequests":           true,
	"ThrottlingException":       true,
	"Throttling":                true,
	"RequestLimitExceeded":      true,
	"RequestTimeout":            true,
	"RequestTimeTooSkewed":      true,
	"BadDigest":                 true,
	"XAmzContentSHA256Mismatch": true,
	"IncompleteBody":            true,
	"OperationAborted":          true,
}

// classifyPut maps the failure of a Put: the package's comment has the table.
func classifyPut(err error) error {
	status, code := answer(err)
	switch {
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", objstore.ErrExists, failure{err})
	case status == http.StatusConflict, status == http.StatusTooManyRequests, repeatCodes[code]:
		return fmt.Errorf("%w: %w", base.ErrUnavailable, failure{err})
	case status >= 300 && status < 500:
		return failure{err}
	case status == 0 && neverSent(err):
		if passing(err) {
			return fmt.Errorf("%w: %w", base.ErrUnavailable, failure{err})
		}
		return failure{err}
	default:
		return fmt.Errorf("%w: %w", objstore.ErrAmbiguous, failure{err})
	}
}

// classify maps the failure of any other request.
func classify(err error) error {
	var done classified
	if errors.As(err, &done) {
		return done.error
	}
	status, code := answer(err)
	switch {
	case code == "NoSuchBucket":
		return failure{err}
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", base.ErrNotFound, failure{err})
	case status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("the object ends before: %w", io.ErrUnexpectedEOF)
	case status >= 300 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusConflict &&
		!repeatCodes[code]:
		return failure{err}
	case status == 0 && neverSent(err) && !passing(err):
		return failure{err}
	default:
		return fmt.Errorf("%w: %w", base.ErrUnavailable, failure{err})
	}
}

func retriable(err error) bool { return errors.Is(err, base.ErrUnavailable) }

// classified is an error that is of the contract's kinds already: what was found in an answer, not the lack of one.
type classified struct{ error }

// broken is a connection that ended in the middle of an answer.
func broken(err error) error {
	return classified{fmt.Errorf("%w: %w", base.ErrUnavailable, failure{err})}
}

// answer returns the HTTP status, 0 if there was no answer, and the store's error code, empty if there was none.
func answer(err error) (int, string) {
	status, code := 0, ""
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	return status, code
}

// neverSent tells whether a request without an answer certainly did not leave: it failed before it was handed to the
// HTTP client (no credentials, say), or no connection could be made for it.
func neverSent(err error) bool {
	var sent *smithyhttp.RequestSendError
	if !errors.As(err, &sent) {
		var canceled *smithy.CanceledError
		return !errors.As(err, &canceled)
	}
	var operation *net.OpError
	if errors.As(sent.Err, &operation) && operation.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(sent.Err, &dns)
}

// passing tells whether a request that never left may do so later: what failed is the network, not the request.
func passing(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
