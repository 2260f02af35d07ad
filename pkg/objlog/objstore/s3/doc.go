// Package s3 is a bucket of an S3-compatible store, or a prefix of one, by way of aws-sdk-go-v2.
//
// # What is asked of the store
//
// PutObject with If-None-Match: *, ranged GetObject, HeadObject, ListObjectsV2 in byte order with StartAfter (S3 Express
// directory buckets have neither order nor StartAfter), DeleteObjects, and reads that see what was written. The bucket
// should have no versioning: with it, deleted objects stay and are paid for.
//
// # Requests
//
//   - A payload is sent from its slices, without being copied together. Its CRC-32C goes ahead in a header, which the
//     store checks before it stores anything, and keeps; a Get of a whole object is checked against it. The body is not
//     part of the signature (UNSIGNED-PAYLOAD): over https TLS protects it, over http the signed CRC detects damage but
//     no forger. Options.SignPayload signs it, which takes a SHA-256 of everything: 1.25 instead of 0.57 CPU seconds a
//     GiB, measured by BenchmarkPut on MinIO over http.
//   - "Expect: 100-continue" is not sent: it would cost a round trip a PUT.
//   - HTTP/2 is off: segments in parallel are faster over parallel connections.
//
// # Invariants
//
//  1. One Put is one request: neither this package nor the SDK repeats it.
//  2. When Put has returned, nothing reads the payload, though net/http may still hold the request's body: see body.
//  3. io.ErrUnexpectedEOF says only that the object is shorter than asked, never that a connection broke.
//  4. No error, and no String, has a credential in it.
//
// # Failure
//
// What a Put's failure says:
//
//   - 412 PreconditionFailed: ErrExists.
//   - 409 ConditionalRequestConflict: another request on this key was under way; ours was not stored. Repeat:
//     base.ErrUnavailable. If the other one was our own earlier attempt, PutSettled finds that out at its next try.
//   - SlowDown, 429, and the client errors that ask for a repetition (RequestTimeout, BadDigest,
//     RequestTimeTooSkewed): refused, not stored: base.ErrUnavailable.
//   - A connection that could not be made: base.ErrUnavailable.
//   - Everything else that is no clear answer (a timeout, a broken connection, ctx, any other 5xx: MinIO's
//     SlowDownWrite is a write without quorum, a proxy's 502 hides any outcome): ErrAmbiguous.
//   - Another 4xx (403, 404 NoSuchBucket): final.
//
// Other requests are repeated with backoff and jitter (Options.Backoff) on timeouts, broken connections, 5xx, SlowDown,
// and are then base.ErrUnavailable. A missing key is base.ErrNotFound; a missing bucket is not, except to Head, which
// cannot tell.
//
// # Non-goals
//
// Making buckets, multipart uploads, server-side copies, presigned URLs, storage classes.
package s3
