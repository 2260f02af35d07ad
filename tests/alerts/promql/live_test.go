package promql

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
)

// scrapesVariable names the folder that ../alerts_test.go has filled: scrapes.json lists what was scraped, when, and of whom.
const scrapesVariable = "GNOMON_SCRAPES"

// recorded is scrapes.json.
type recorded struct {
	Scrapes []scrape
	// Phases are: a sound pair, region a is killed, b has taken over and a comes back.
	Phases []struct {
		End   time.Time
		Fires []string // alerts whose expressions hold at the end
	}
}

// healthy is when the pair was sound for the last time.
func (r recorded) healthy() time.Time { return r.Phases[0].End }

type scrape struct {
	At     time.Time
	Labels map[string]string // of the target
	File   string            // what it said; none when it did not answer
}

func load(t *testing.T) (recorded, *teststorage.TestStorage) {
	t.Helper()
	dir := os.Getenv(scrapesVariable)
	if dir == "" {
		t.Skipf("%s names no scrapes: `make alerts` makes some", scrapesVariable)
	}
	var r recorded
	text, err := os.ReadFile(filepath.Join(dir, "scrapes.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := teststorage.New(t)
	app := s.Appender(context.Background())
	slices.SortFunc(r.Scrapes, func(a, b scrape) int { return a.At.Compare(b.At) })
	e := entering{app: app, dir: dir, last: map[string]map[string]labels.Labels{}}
	for _, x := range r.Scrapes {
		if err := e.scrape(x); err != nil {
			t.Fatalf("%s of %v: %v", x.File, x.Labels, err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return r, s
}

// entering does what Prometheus does with scrapes: the target's labels are added, up says whether it answered, and what a target does
// not say any more is stale.
type entering struct {
	app  storage.Appender
	dir  string
	last map[string]map[string]labels.Labels // of a target's last answer, by instance and text
}

func (e *entering) scrape(x scrape) error {
	at, who := x.At.UnixMilli(), x.Labels["instance"]
	up := 1.0
	if x.File == "" {
		up = 0
	}
	before, now := e.last[who], map[string]labels.Labels{}
	e.last[who] = now
	if err := e.series(x, now); err != nil {
		return err
	}
	for text, l := range before {
		if _, still := now[text]; still {
			continue
		}
		if _, err := e.app.Append(0, l, at, math.Float64frombits(value.StaleNaN)); err != nil {
			return err
		}
	}
	_, err := e.app.Append(0, x.labeled(labels.FromStrings("__name__", "up")), at, up)
	return err
}

// series enters what a target said, and notes it.
func (e *entering) series(x scrape, now map[string]labels.Labels) error {
	if x.File == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(e.dir, x.File))
	if err != nil {
		return err
	}
	p, err := textparse.New(text, "text/plain", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case entry != textparse.EntrySeries:
			continue
		}
		_, _, v := p.Series()
		var l labels.Labels
		p.Labels(&l)
		l = x.labeled(l)
		if _, err := e.app.Append(0, l, x.At.UnixMilli(), v); err != nil {
			return err
		}
		now[l.String()] = l
	}
}

// labeled adds the labels of the target.
func (x scrape) labeled(l labels.Labels) labels.Labels {
	b := labels.NewBuilder(l)
	for name, text := range x.Labels {
		b.Set(name, text)
	}
	return b.Labels()
}

// window is Grafana's $__rate_interval where there is a scrape each second.
const window = "5s"

func panels(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	text, err := os.ReadFile("../../../deploy/grafana/gnomon.json")
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range file.Panels {
		for _, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", window, "$region", ".*").Replace(q.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: unknown variable in %s", p.Title, q.Expr)
			}
			out[p.Title+" "+q.RefID] = expr
		}
	}
	return out
}

// Each query of the dashboard gives numbers on a live pair with traffic.
func TestDashboardOnALivePair(t *testing.T) {
	r, s := load(t)
	engine := promqltest.NewTestEngine(t, false, 0, 50_000_000)
	for name, expr := range panels(t) {
		q, err := engine.NewRangeQuery(t.Context(), s, nil, expr, r.Scrapes[0].At, r.healthy(), time.Second)
		if err != nil {
			t.Errorf("%s: %s: %v", name, expr, err)
			continue
		}
		m, err := q.Exec(t.Context()).Matrix()
		if err != nil {
			t.Errorf("%s: %s: %v", name, expr, err)
			continue
		}
		numbers := 0
		for _, series := range m {
			for _, p := range series.Floats {
				if !math.IsNaN(p.F) && !math.IsInf(p.F, 0) {
					numbers++
				}
			}
		}
		if numbers == 0 {
			t.Errorf("%s gives nothing: %s", name, expr)
		}
	}
}

// No alert's expression holds at any time while the pair is sound, and those that are to tell of what happens to it do.
func TestAlertsOnALivePair(t *testing.T) {
	r, s := load(t)
	engine := promqltest.NewTestEngine(t, false, 0, 50_000_000)
	fires := make([][]string, len(r.Phases))
	for name, rule := range alerts(t) {
		holds := func(at time.Time) promql.Vector {
			q, err := engine.NewInstantQuery(t.Context(), s, nil, rule.Query().String(), at)
			if err != nil {
				t.Fatal(err)
			}
			v, err := q.Exec(t.Context()).Vector()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return v
		}
		for at := r.Scrapes[0].At.Add(5 * time.Second); at.Before(r.healthy()); at = at.Add(time.Second) {
			if v := holds(at); len(v) > 0 {
				t.Errorf("%s holds on a sound pair: %v", name, v)
				break
			}
		}
		for i, p := range r.Phases {
			if len(holds(p.End)) > 0 {
				fires[i] = append(fires[i], name)
			}
		}
	}
	for i, p := range r.Phases {
		slices.Sort(fires[i])
		if !slices.Equal(fires[i], p.Fires) {
			t.Errorf("at the end of phase %d these alerts hold:\n\t%v\nwant\n\t%v", i, fires[i], p.Fires)
		}
	}
}

// foreign are metrics of Go's own client.
var foreign = regexp.MustCompile(`^(go|process)_`)

// Names, types and help are as Prometheus' own linter wants them (promtool check metrics), and there are not too many series.
func TestNamesOnALivePair(t *testing.T) {
	r, _ := load(t)
	dir := os.Getenv(scrapesVariable)
	seen := map[string]bool{}
	for _, x := range r.Scrapes {
		job, who := x.Labels["job"], x.Labels["instance"]
		if seen[who] || x.File == "" || x.At.Before(r.healthy().Add(-5*time.Second)) {
			continue
		}
		seen[who] = true
		text, err := os.ReadFile(filepath.Join(dir, x.File))
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.New(strings.NewReader(string(text))).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if !foreign.MatchString(p.Metric) {
				t.Errorf("%s: %s: %s", job, p.Metric, p.Text)
			}
		}
		if n := len(regexp.MustCompile(`(?m)^gnomon_`).FindAllString(string(text), -1)); n > seriesMax {
			t.Errorf("%s has %d series", who, n)
		}
	}
	if len(seen) == 0 {
		t.Error("nothing was scraped")
	}
}

// seriesMax is far more than a process has with one topic and one group, and less than a label without bounds would soon make.
const seriesMax = 2500
