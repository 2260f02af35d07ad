package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// Recorder writes a history. It is safe for concurrent use: the order of the lines is the order of the calls.
type Recorder struct {
	mu    sync.Mutex
	out   *json.Encoder
	now   func() time.Time
	began time.Time
	ops   int64
	err   error // the first
}

// NewRecorder writes to out; now has a monotonic clock.
func NewRecorder(out io.Writer, now func() time.Time) *Recorder {
	return &Recorder{out: json.NewEncoder(out), now: now, began: now()}
}

// Invoke notes that an operation begins, and returns it as what its end is made from.
func (r *Recorder) Invoke(e check.Event) check.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops++
	e.Op, e.Type = r.ops, check.Invoke
	r.write(e)
	return e
}

// End notes how it ended.
func (r *Recorder) End(e check.Event, how string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Type = how
	r.write(e)
}

func (r *Recorder) write(e check.Event) {
	e.Time = r.now().Sub(r.began).Nanoseconds()
	if err := r.out.Encode(e); err != nil && r.err == nil {
		r.err = err
	}
}

// Err is what went wrong with writing.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
