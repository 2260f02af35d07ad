// Package devcerts makes a set of certificates for tests and trials: an authority, a certificate for each kind of process with its
// role, a token of operators, passwords of etcd users.
//
// Files are written into a folder within the one that was asked for, and moved once all are made. A folder that holds something is left as
// it is unless that is forced. Keys, token and passwords are readable by their owner alone. The authority's key lies beside the rest,
// unprotected: that is why a set is for tests only.
package devcerts
