package coordinator

import "github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"

// producersSpare says which part of Limits.Producers is made free when it is exceeded: to find those to forget is to look
// at all, which must not be for each new one.
const producersSpare = 10

// boundProducers forgets the producers that have not written for the longest time once partitions remember more than the
// limit. It is an event, the one that also ends the life of those that are silent for a day, so every replica and every
// image of a shadow forgets the same ones at the same place in the log.
//
// What may happen to a producer, as a walk:
//
//  1. One that is not forgotten: nothing of it changes. The event lies between two commits of the log, the working state
//     has it at once, and the next batch is judged by the same five batches as before. No record is doubled.
//  2. The leader dies between the commit and the event, if they are in two entries: the next leader finds more than the
//     limit at its first commit, and forgets then.
//  3. One that is forgotten and goes on: it is unknown, so its next batch is taken at any sequence, as in Kafka. It is
//     known again from then on.
//  4. One that is forgotten with a batch in the log whose answer was lost: it sends the batch again, which is written a
//     second time. For that nine tenths of the limit have to write after this one and before its client tries again.
//     What an agent sends again (a commit) is found by session and number, and is not concerned.
//  5. One that is forgotten while batches of it are in flight through two agents: if the later one comes first it is taken,
//     and the earlier one is out of order, which its client is told.
//  6. One whose epoch was raised, and that is forgotten: a batch of the earlier epoch that is still under way is taken.
//
// Those that wrote in the entry that is being made stay, so the limit may be exceeded by these.
func (s *Sequencer) boundProducers(now int64) error {
	most := s.limits.Producers
	if s.st.Counts().Producers <= most || s.bounded == s.st.Time() {
		return nil
	}
	s.bounded = s.st.Time()
	before := s.st.ProducersBefore(most - most/producersSpare)
	held := s.st.Counts().Producers
	ev := &metalogpb.ProducersExpired{LastWriteBeforeMs: before}
	if err := s.Emit(now, &metalogpb.Event{Kind: &metalogpb.Event_ProducersExpired{ProducersExpired: ev}}); err != nil {
		return err
	}
	s.forgotten += held - s.st.Counts().Producers
	return nil
}

// noteForgotten tells operators what they would otherwise learn from a record that is doubled.
func (l *leader) noteForgotten() {
	if n := l.seq.forgotten - l.forgotten; n > 0 {
		l.forgotten = l.seq.forgotten
		l.c.metrics.forgotten.Add(float64(n))
		l.c.cfg.Logger.Warn("idempotent producers were forgotten, as there are more than max-producers", "producers", n, "limit", l.seq.limits.Producers)
	}
}
