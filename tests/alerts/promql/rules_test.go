package promql

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

const rulesPath = "../../../deploy/prometheus/rules.yml"

// alerts are those of deploy/prometheus/rules.yml, as they are before their first evaluation.
func alerts(t *testing.T) map[string]*rules.AlertingRule {
	t.Helper()
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(rulesPath, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	out := map[string]*rules.AlertingRule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			expr, err := p.ParseExpr(r.Expr)
			if err != nil {
				t.Fatal(err)
			}
			out[r.Alert] = rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor),
				labels.FromMap(r.Labels), labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
		}
	}
	return out
}

// one is a test of rules_test.yml: series in Prometheus' own notation, and what fires when.
type one struct {
	Name   string
	Alert  string
	Series []string          // name{labels} values, a value each 15 s
	Fires  map[string]string // at a time: the summary of the alert that fires, or nothing
}

// Each alert fires for the fault that it is about, after its time, with a sentence that is whole; and not for what is sound.
func TestRules(t *testing.T) {
	text, err := os.ReadFile("rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var tests []one
	if err := yaml.Unmarshal(text, &tests); err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, x := range tests {
		t.Run(x.Name, func(t *testing.T) {
			rule := alerts(t)[x.Alert]
			if rule == nil {
				t.Fatalf("there is no alert %s", x.Alert)
			}
			x.run(t, rule)
		})
		for _, want := range x.Fires {
			tested[x.Alert] = tested[x.Alert] || want != ""
		}
	}
	for name := range alerts(t) {
		if !tested[name] {
			t.Errorf("no test sees %s fire", name)
		}
	}
}

const step = 15 * time.Second

func (x one) run(t *testing.T, rule *rules.AlertingRule) {
	ctx := context.Background()
	storage := promqltest.LoadedStorage(t, "load 15s\n  "+strings.Join(x.Series, "\n  ")+"\n")
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery), storage)
	last := time.Duration(0)
	want := map[time.Duration]string{}
	for at, summary := range x.Fires {
		d, err := time.ParseDuration(at)
		if err != nil || d%step != 0 {
			t.Fatalf("%s is no multiple of %s", at, step)
		}
		want[d], last = summary, max(last, d)
	}
	for d := time.Duration(0); d <= last; d += step {
		if _, err := rule.Eval(ctx, 0, time.Unix(0, 0).Add(d), query, &url.URL{}, 0); err != nil {
			t.Fatal(err)
		}
		summary, asked := want[d]
		if !asked {
			continue
		}
		var got []string
		for _, a := range rule.ActiveAlerts() {
			if a.State == rules.StateFiring {
				got = append(got, a.Annotations.Get("summary"))
			}
		}
		slices.Sort(got)
		if have := strings.Join(got, "\n"); have != summary {
			t.Errorf("at %s fires\n\t%s\nwant\n\t%s", d, have, summary)
		}
		if strings.Contains(fmt.Sprint(got), "<no value>") {
			t.Errorf("at %s: a part of the sentence is missing: %s", d, got)
		}
	}
}
