// Package rpcfault carries errors across processes: a sentinel of package base that an error wraps, or a Kafka code, is
// the same at the other end, whatever code the RPC itself has.
//
// What says nothing of itself (a broken connection, a deadline, an older peer) is base.ErrUnavailable at the caller: it is
// unknown whether the request took effect.
package rpcfault

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
)

// kinds are the sentinels that cross, and the RPC code of each. The first that an error wraps counts.
var kinds = []struct {
	name     string
	sentinel error
	code     connect.Code
}{
	{"not-found", base.ErrNotFound, connect.CodeNotFound},
	{"not-leader", base.ErrNotLeader, connect.CodeUnavailable},
	{"read-only", base.ErrReadOnly, connect.CodeFailedPrecondition},
	{"fenced", base.ErrFenced, connect.CodeFailedPrecondition},
	{"too-large", base.ErrTooLarge, connect.CodeInvalidArgument},
	{"version", base.ErrVersion, connect.CodeUnimplemented},
	{"corrupt", base.ErrCorrupt, connect.CodeInternal},
	{"unavailable", base.ErrUnavailable, connect.CodeUnavailable},
}

// Of describes an error; nil for nil.
func Of(err error) *coordinatorpb.Fault {
	if err == nil {
		return nil
	}
	f := &coordinatorpb.Fault{Message: err.Error()}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		f.KafkaCode = int32(ke.Code)
	}
	for _, k := range kinds {
		if errors.Is(err, k.sentinel) {
			f.Kind = k.name
			break
		}
	}
	return f
}

// Error is an error from another process.
type Error struct {
	message   string
	sentinel  error // nil: none
	kafka     *kerr.Error
	untouched bool
}

// Error gives what the other process said.
func (e *Error) Error() string { return e.message }

// Unwrap makes errors.Is and errors.As find what the error stood for.
func (e *Error) Unwrap() []error {
	var out []error
	if e.kafka != nil {
		out = append(out, e.kafka)
	}
	if e.sentinel != nil {
		out = append(out, e.sentinel)
	}
	return out
}

// Err is the inverse of Of. A kind that this build does not know is base.ErrUnavailable.
func Err(f *coordinatorpb.Fault) error {
	e := &Error{message: f.Message, untouched: f.Untouched}
	if f.KafkaCode != 0 {
		errors.As(kerr.ErrorForCode(int16(f.KafkaCode)), &e.kafka)
	}
	for _, k := range kinds {
		if k.name == f.Kind {
			e.sentinel = k.sentinel
		}
	}
	if e.sentinel == nil && e.kafka == nil {
		e.sentinel = base.ErrUnavailable
	}
	return e
}

// Connect makes an RPC error of err; nil for nil. One that is an RPC error already stays as it is.
func Connect(err error) error { return answer(err, false) }

// Untouched is Connect for a request that was refused before anything was done.
func Untouched(err error) error { return answer(err, true) }

func answer(err error, untouched bool) error {
	if err == nil {
		return nil
	}
	var ce *connect.Error
	if errors.As(err, &ce) {
		return err
	}
	f := Of(err)
	f.Untouched = untouched
	code := connect.CodeInternal
	for _, k := range kinds {
		if k.name == f.Kind {
			code = k.code
		}
	}
	if f.Kind == "" && errors.Is(err, context.Canceled) {
		code = connect.CodeCanceled
	}
	ce = connect.NewError(code, err)
	if d, err := connect.NewErrorDetail(f); err == nil { // a message of ours can be encoded
		ce.AddDetail(d)
	}
	return ce
}

// From is the inverse of Connect, at the caller.
func From(err error) error {
	if err == nil {
		return nil
	}
	if f := detail(err); f != nil {
		return Err(f)
	}
	return fmt.Errorf("%w: %w", base.ErrUnavailable, err)
}

// IsUntouched tells whether the other process said that it did nothing.
func IsUntouched(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.untouched
}

func detail(err error) *coordinatorpb.Fault {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return nil
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if f, ok := v.(*coordinatorpb.Fault); ok {
				return f
			}
		}
	}
	return nil
}
