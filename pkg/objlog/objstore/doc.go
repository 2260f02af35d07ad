// Package objstore is the bucket: immutable objects under keys, written once.
//
// # Concepts
//
// A [Store] is a bucket or a prefix of one. Backends: s3, directory, memory. Wrappers: fault (injects errors before and
// after the inner call), counting (requests and bytes). Package open makes a Store of a URL. Package storetest is the
// acceptance suite that all backends pass.
//
// # Invariants
//
//  1. Write once: of any number of Puts of one key, however concurrent, at most one stores its bytes. The others get
//     ErrExists, and what is there is untouched.
//  2. Whole or not at all: no reader ever sees a part of an object, whatever crashed.
//  3. Durable before nil: an object whose Put returned nil outlives a crash of the process and of the machine.
//  4. Not stored unless said so: a Put that failed with anything but ErrAmbiguous has stored nothing, and will not
//     store anything later.
//  5. Read your writes: after a Put returned nil, Head, Get, GetRange and List of every process show the object.
//  6. The payload is the caller's again when Put returns, whatever it returned.
//
// # Concurrency
//
// Every method of every store may be called concurrently. No store starts a goroutine that outlives the call.
//
// # Failure
//
// Errors are of the kinds that [Store] lists. Backends repeat reads, lists and deletes a few times by themselves, as
// these may be repeated freely; they never repeat a Put, since only the caller can tell its own first attempt from a
// stranger's object: see [PutSettled]. A store that ignores the condition of a Put breaks invariant 1 in silence, so it
// is probed at start ([ProbeConditionalPut]), and a bucket is claimed for one cluster ([ClaimBucket]).
//
// # Keys
//
// Keys are paths of printable ASCII, relative to the store's prefix: see [ValidateKey]. On the directory backend a key
// cannot be both an object and the parent of another ("a" beside "a/b"); nothing in Gnomon names objects so.
//
// # Non-goals
//
// Overwriting, appending, multipart uploads (a Put has at most 5 GiB), versions, object metadata, server-side copies.
package objstore
