// Package tlsfiles is TLS between the processes of Gnomon, out of files: a certificate with its key, the authorities that are
// trusted, and the token of operators. What is renewed on disk is taken without a restart.
//
// # Concepts
//
// A [Set] is one certificate, its key, and a bundle of authorities. It gives the configuration of a connection at the moment
// when that is made, so a new authority counts for the next connection. A [Role] is what a certificate is for; it stands in
// its organizational unit. A [Token] is a secret in a file.
//
// # Invariants
//
//	F1 a file that changed is read at most CheckEvery after the change, by the next connection (or scrape) that needs it; there is no
//	   goroutine.
//	F2 what cannot be read, does not fit together or is out of date is not taken: what was there before stays, and a
//	   warning says so, once for each state of the files.
//	F3 both ends verify: a client the name, the chain and the role of the server before it shows or sends anything of its own, a
//	   server the chain of each certificate that is shown. TLS 1.2 at least; sessions are not resumed, so each connection is verified anew.
//	F4 no key and no token is in an error, a log line or a String.
//
// # Walk: cert and key are renewed one after the other
//
// (1) The new certificate is written. (2) A connection is made: certificate and key do not match, (F2), the old pair is used, which
// both were read together. (3) The new key is written. (4) The next check reads both and takes them.
//
// # Concurrency and failure
//
// All methods may be called at any time from any goroutine. Files are read by one caller at a time, under no lock; others use
// what there is.
//
// # Non-goals
//
// Revocation lists: a certificate that is to count no more needs a new authority, or a short life. Connections that stand
// are not cut off when a certificate expires.
package tlsfiles
