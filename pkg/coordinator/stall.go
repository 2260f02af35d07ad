package coordinator

import "time"

// stallMax is how long the loop may be kept from its work, or an answer of the log may take, before group members are given
// that time: well above what a busy machine takes, well below the shortest session timeout (6 s).
const stallMax = 2 * time.Second

// A member that is alive shows it by heartbeats, and sends the next one only once the last was answered. So a time in which
// this process could not hear or could not answer must expire nobody:
//
//  1. The process was stopped (SIGSTOP, a suspended machine) for less than its lease, or together with the etcd that keeps its
//     lease. It goes on; the loop finds that it was last at work long ago: rested.
//  2. It was stopped for longer than its lease. Another leads, and has granted full timeouts when it began. This one may still
//     decide that members are gone, in the moment until it hears that its term is over; nothing of it can be appended (M1).
//  3. The log does not answer for a while (etcd elects a leader, its disk is slow). Heartbeats arrive, but their answers wait for
//     the log (C1), so members cannot send more: nobody is judged while it lasts, see stalled, nor for that time after.
//
// In 1 and 3 the group machine is told to add that time to its deadlines: Manager.Resume.

// rested is called first whenever the loop wakes. Its ticker wakes it each second.
func (l *leader) rested() {
	now := l.c.cfg.Now()
	if slept := now.Sub(l.awake); slept > stallMax {
		l.resume(now, slept)
		l.asked = now // what it has not answered by now counts once
	}
	l.awake = now
}

// stalled tells whether the log has been asked for so long that members may be waiting for answers.
func (l *leader) stalled(now time.Time) bool { return l.flight != nil && now.Sub(l.asked) > stallMax }

// unstalled is called when the log has answered.
func (l *leader) unstalled() {
	now := l.c.cfg.Now()
	if took := now.Sub(l.asked); took > stallMax {
		l.resume(now, took)
	}
	l.awake = now
}

func (l *leader) resume(now time.Time, lost time.Duration) {
	l.c.cfg.Logger.Warn("the leader could not work: group members get the time back", "lost", lost)
	if l.groups != nil {
		l.groups.Resume(now, lost)
	}
}
