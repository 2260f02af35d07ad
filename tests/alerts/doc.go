// Package alerts proves the alerts and the dashboard of deploy/ against real metrics.
//
//	make alerts      all of it; a part of `make check`
//
// TestLivePair runs two regions of processes with traffic, scrapes them as Prometheus would, kills region a, fails over, brings a back,
// and scrapes on. What was scraped is then evaluated by Prometheus' own engine, in the module promql below this folder: each query of
// the dashboard gives numbers, no alert's expression holds while the pair is sound, and those of the loss of a region, and of one that
// was taken over, hold when they are to. There each alert is also tested on series that are made up (rules_test.yml). It needs the
// network once, for that module; plain `go test ./...` leaves it out.
package alerts
