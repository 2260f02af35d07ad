// Package remote is the coordinators of a region as an agent in another process sees them: agent.Coordinator and
// agent.Registry over the internal API (proto/gnomon/coordinator/v1).
//
// # Concepts
//
// A [Client] knows a few URLs of coordinators. What any coordinator answers (entries, head, list of agents) is asked of
// the one that answered last, and of the next when that fails. What only the leader answers (sessions, commits, Kafka
// requests) goes to the leader, which the coordinators are asked for; its URL need not be among those configured.
//
// # Invariants
//
//	R1 commits are sent in the order of CommitAsync over one stream at a time, and done is called once for each.
//	R2 a commit that was sent and not answered ends as base.ErrUnavailable: it is unknown whether it took effect, and the
//	   appender sends the same commit again, which gets the same offsets.
//	R3 a request that is not safe to send twice is sent again only if the answer says that nothing was done.
//	R4 the list of agents shrinks only on the word of a coordinator whose stream has stood for longer than a lease.
//	R5 nothing of the package runs on after Close.
//
// # Walks
//
//  1. Two coordinators. Any of them streams entries, and reads the head from etcd. Only one can append: the append is
//     conditional on the leader key. A standby refuses commits and Kafka requests as base.ErrNotLeader, untouched.
//  2. A paused leader. Its kernel still takes our bytes. Pings on each connection find out within 3 s; then the streams
//     break off, (R2) applies, and the coordinators are asked for the leader, which by then is another: the pause has cost
//     the old one its lease. When it goes on it may still work through what it had received: its appends fail on the leader
//     key, and its answers, which reach nobody, are errors.
//  3. A deposed leader with our stream. It answers each commit as base.ErrNotLeader. The stream is given up at the first
//     such answer, and the leader looked for at the next commit.
//  4. The leader appended commit n and died before it answered. (R2): n is sent to the next leader, which finds n at or
//     below the session's floor and answers from the session's stored results. n+1, sent before the break, is either the
//     same case or not in the log; the appender sends it after n.
//  5. Commit n is in the buffers of a broken connection to a leader that lives, and is worked through after the second n
//     that came over the new one: again a retry, answered to nobody. If it comes first, the second n is the retry. Should
//     the appender have opened another session meanwhile, the old n is refused as fenced.
//  6. We follow coordinator x, and y told us the head, of which x has not heard: cut off from etcd, or paused. Reads that
//     need the head wait (agent, A2). When x gives nothing new for 2 s while we know of more, the stream is broken off and
//     y, or the next, is followed.
//  7. Another process starts with our node id. Its registration is fresh and replaces ours, its session fences ours: our
//     commits fail, retriable. Our registration is refused from then on as base.ErrFenced, which ends this agent with an
//     error. Until it hears that, it may open a session, and so fence the other's, once: commits of the fenced session are
//     refused as a whole, and clients send again. Nothing is acked twice or over a hole.
//  8. All coordinators are away. The view, and the list of agents, stand; commits and forwards fail, retriable. When they
//     are back the first list may lack agents that have not registered again yet: (R4).
//  9. The metalog was restored from its archive. Our view may be of entries that were lost, and be ahead of the new log. A head names
//     its incarnation, and the view waits until it is of that one (package replica, R2). From a coordinator too old to name it, a head
//     below what we knew before we asked is no answer. The view finds the new incarnation when its stream breaks off, and is loaded anew.
package remote
