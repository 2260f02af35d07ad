// Package etcd is the metalog in etcd v3. One etcd is dedicated to Gnomon; the keys of a cluster lie under
// /gnomon/<cluster>/ (DESIGN: metastore; docs/METADATA.md has the table).
//
// # The append
//
// One transaction: If leader has my value, head has the value that I know (or does not exist), and the fence key is at
// the revision that I know; Then put log/<seq> and head. So a deposed or fenced leader cannot append, whatever it
// believes.
//
// # Lost answers
//
// An etcd client can apply a transaction and report failure. The walk: (1) Append sends txn T(seq, value), the answer is
// lost. (2) It reads head, linearizable. (3a) head is (seq, hash of value): T was applied, success. (3b) head is still
// the one before: T was not applied yet; it is sent again. Should the first T be applied later after all, the second
// finds another head and fails, and step 2 then finds (3a): the value is the same, so it does not matter which of the two
// it was. (3c) Anything else: another leader appended, the term is over. (4) If etcd cannot be asked until ctx ends, the
// answer is ErrAmbiguous; the caller throws its working state away and reads the log again. T can still be applied later,
// but only directly behind the same head: either the next leader reads it first, or its own append goes first and T fails.
package etcd
