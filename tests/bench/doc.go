// Command bench measures Gnomon on the machine that it runs on: produce throughput, the latency of acks, reading, a shadow's lag
// and copy rate, failover, start-up and memory, on a bucket in a directory and on MinIO. Each figure stands beside what bounds it,
// measured in the same run: raw PUTs and GETs, puts into etcd, and the load generator against a broker that discards.
// docs/PERFORMANCE.md tells what each is, and how to read them.
//
// Etcd, coordinators, agents, and the broker that discards, are processes of their own: this program, started again. All data is in
// a temporary folder, which is removed; all addresses are on loopback.
//
//	B1. A figure and its limits come from one run: machines differ, and one machine differs from hour to hour.
//	B2. Each measurement is preceded by a warm-up, which is not counted: the first touch of memory and of a disk is slow.
//	B3. Latency is counted from when a record was to be sent, not from when it could be: a stall is seen in full.
//	B4. Time, disk and memory are bounded: by -seconds, and by 2 GiB a measurement.
//	B5. Nothing that was started is left behind, and nothing that it has stored.
package main
