package cli

import (
	"fmt"
	"time"
)

const progressEvery = 200 * time.Millisecond

// progress shows on a terminal how far a command is. It writes nothing elsewhere.
type progress struct {
	env     *Env
	started time.Time
	shown   time.Time
	width   int
}

func newProgress(env *Env) *progress { return &progress{env: env, started: env.Now()} }

// update shows the figures, unless it did so a moment ago.
func (p *progress) update(records, bytes int64) {
	if !p.env.ErrTerminal || p.env.JSON() {
		return
	}
	now := p.env.Now()
	if now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown = now
	text := fmt.Sprintf("%s, %s", count(records, "record"), size(bytes))
	if s := now.Sub(p.started).Seconds(); s > 0 {
		text += fmt.Sprintf(", %s/s", count(int64(float64(records)/s), "record"))
	}
	_, _ = fmt.Fprintf(p.env.Err, "\r%-*s", p.width, text)
	p.width = max(p.width, len(text))
}

// clear takes the line away, so that the next message begins at its start.
func (p *progress) clear() {
	if p.width > 0 {
		_, _ = fmt.Fprintf(p.env.Err, "\r%*s\r", p.width, "")
		p.width = 0
	}
}
