// Package dev is `gnomon dev`: two regions of Gnomon, with an embedded etcd and a directory bucket each, and the link
// a-to-b between them, in one process or in two. Everything in it is the real thing but for the number of processes:
// etcd and the bucket fsync, clients use the Kafka protocol, the link goes over HTTP.
package dev
