package hedge

import (
	"context"
	"errors"
	"time"
)

// Outcome is what became of a request.
type Outcome struct {
	Sent bool // there was a second request
	Won  bool // its answer is the one that counts
}

// errNoBudget stands for a second request that was not sent.
var errNoBudget = errors.New("no budget for a second request")

// Do runs first, and second beside it when first has not returned in the policy's time and the budget allows it. The first success
// ends the other one by its ctx. When both succeed, as ctx came too late, the first counts. The error is that of first, if second did not
// succeed.
//
// second starts when first is slow, and not when it fails: who repeats what failed, and after which wait, is first's own matter.
//
// The race, as a walk: (1) the timer fires as first returns. (2) If Stop says that it came before, no second request ever
// starts. (3) Otherwise its function runs, or will: done is waited for, after it was told by ctx that nobody needs it.
func (p *Policy) Do(ctx context.Context, first, second func(context.Context) error) (Outcome, error) {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	started := p.o.Now()
	timer := time.AfterFunc(p.Delay(), func() {
		if work.Err() != nil || !p.take() {
			done <- errNoBudget
			return
		}
		err := second(work)
		if err == nil {
			cancel()
		}
		done <- err
	})
	err := first(work)
	if timer.Stop() {
		p.note(ctx, started, err)
		return Outcome{}, err
	}
	if err == nil {
		cancel()
	}
	hedged := <-done
	out := Outcome{Sent: !errors.Is(hedged, errNoBudget), Won: err != nil && hedged == nil}
	if out.Won {
		err = nil
	}
	p.note(ctx, started, err)
	return out, err
}

// note counts a request that had an answer. One that was cut short by its caller says nothing about the store; one that lost to the second took
// at least so long.
func (p *Policy) note(ctx context.Context, started time.Time, err error) {
	if err == nil || ctx.Err() == nil {
		p.observe(p.o.Now().Sub(started))
	}
}
