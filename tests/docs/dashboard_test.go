package docs

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What is not Gnomon's own: Prometheus's word for a target that answers, and the Go client's metrics of a process.
var foreign = []string{"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}

var (
	metricName = regexp.MustCompile(`\b(?:gnomon|process)_[a-z_]+|\bup\b`)
	ofHisto    = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// Each query of the alerts and of the dashboard is of metrics that are there, a histogram's by its parts.
func TestDashboard(t *testing.T) {
	kind := map[string]string{}
	for _, row := range read(t, "docs/OPERATIONS.md").table(t, "metric") {
		for _, name := range named(row[0]) {
			kind[name] = row[1]
		}
	}
	severity := map[string]string{}
	for _, query := range append(alerts(t, severity), panels(t)...) {
		if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
			t.Errorf("brackets of %s", query)
		}
		found := metricName.FindAllString(query, -1)
		if len(found) == 0 {
			t.Errorf("no metric in %s", query)
		}
		for _, name := range found {
			base := ofHisto.ReplaceAllString(name, "")
			switch {
			case slices.Contains(foreign, name):
			case kind[base] == "histogram" && base == name, kind[base] != "histogram" && kind[name] == "":
				t.Errorf("there is no metric %s: %s", name, query)
			case kind[name] == "counter" && !strings.Contains(query, "rate(") && !strings.Contains(query, "increase("):
				t.Errorf("%s is a counter, whose value says nothing: %s", name, query)
			}
		}
	}
}

// docs/OPERATIONS.md says of every alert what to do, and how urgent it is.
func TestAlertTable(t *testing.T) {
	have, severity := map[string]string{}, map[string]string{}
	alerts(t, severity)
	for _, row := range read(t, "docs/OPERATIONS.md").table(t, "alert") {
		for _, name := range named(row[0]) {
			have[name] = row[1]
		}
	}
	if !maps.Equal(have, severity) {
		t.Errorf("docs/OPERATIONS.md has %v, deploy/prometheus/rules.yml %v", have, severity)
	}
}

// alerts are the expressions of all rules; severity gets each one's.
func alerts(t *testing.T, severity map[string]string) (queries []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Annotations map[string]string
				Labels      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/rules.yml").text), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Annotations["summary"] == "" {
				t.Errorf("alert %s does not say what to do", r.Alert)
			}
			queries = append(queries, r.Expr)
			severity[r.Alert] = r.Labels["severity"]
		}
	}
	return queries
}

func panels(t *testing.T) (queries []string) {
	t.Helper()
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/gnomon.json").text), &file); err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %s has no query", p.Title)
		}
		for _, q := range p.Targets {
			queries = append(queries, q.Expr)
		}
	}
	return queries
}
