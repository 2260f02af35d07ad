// Package promql evaluates the alerts and the dashboard of deploy/ with Prometheus' own engine. It is a module of its own, so that the
// engine is no dependency of Gnomon. See tests/alerts for the other half.
package promql
