package sim

import "context"

// unseenPatience is for how many steps a loss waits for a moment at which it is one that nobody sees.
const unseenPatience = 600

// takeRecent keeps a backup of the moment at which the leader's replica, which then lags, was where the log was.
func (l *loss) takeRecent() {
	if !l.unseen || l.left == 0 || !l.keepsFromArchive() {
		return
	}
	for _, c := range l.r.coordinators {
		if c.term != nil && c.replica != nil && c.replica.Head() == l.r.head {
			x := l.r.server.Backup()
			l.recent = &x
		}
	}
}

// happenUnseen sets etcd back to where the leader's replica is, before anything behind that was archived: the leader has had more confirmed, and
// is the only one that knows, as the other coordinators die. It tells whether that happened, or is still to be waited for.
//
// Without that leader nothing would be known of what it has acked, so it lives until all of that is archived.
func (l *loss) happenUnseen() bool {
	w, r := l.w, l.r
	w.check.observe()
	pos, err := r.truth.Position(context.Background())
	if err != nil || l.recent == nil {
		return w.steps < l.at+unseenPatience
	}
	tip, end := w.check.tip(r, pos.Incarnation)
	for _, c := range r.coordinators {
		incarnation, all := c.remembers(lostLog{pos.Incarnation, c.tail})
		if c.term == nil || c.lost() || c.replica == nil || c.replica.Incarnation() != pos.Incarnation || c.replica.Head().Seq > l.recent.Seq() {
			continue
		}
		if tip != pos.Incarnation || l.recent.Incarnation() != tip || l.recent.Seq() < end || l.recent.Seq() >= pos.Head.Seq {
			continue
		}
		if incarnation != tip || len(all) == 0 || all[0].Seq > end+1 || c.sure.head() != pos.Head {
			continue
		}
		l.beginUnseen(c)
		w.logf("DISASTER: etcd of region %s is set back from seq %d to %d of %s, the archive is at %d; only %s knows, whose replica is at %d",
			r.name, pos.Head.Seq, l.recent.Seq(), tip, end, c, c.replica.Head().Seq)
		l.incarnation = pos.Incarnation
		return true
	}
	return w.steps < l.at+unseenPatience
}

func (l *loss) beginUnseen(c *coord) {
	r := l.r
	for _, other := range r.coordinators {
		if other != c {
			other.crash()
			other.halted = true
		}
	}
	r.server.SetTo(*l.recent)
	l.setTo, l.memory = l.recent, c
	l.happened, r.down, c.halted = true, true, false
	l.again = l.w.steps + l.rng.IntN(400)
	l.bare = l.left > 1 && l.rng.IntN(3) == 0
	l.linkless = false
}

// resting is the process on whose memory all rests, nil for none.
func (l *loss) resting() *coord {
	if l == nil || !l.happened || l.memory == nil || l.memory.halted {
		return nil
	}
	return l.memory
}

// rests tells whether all rests on a process's memory.
func (l *loss) rests(c *coord) bool { return l.resting() == c && c != nil }
