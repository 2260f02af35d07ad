package differential

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/golden"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

var (
	seedCount = flag.Int("seeds", 150, "how many sequences")
	oneSeed   = flag.Int("seed", -1, "the one sequence to run")
)

const (
	stepsPerSeed = 50
	atOnce       = 6 // sequences under way: Gnomon's answers wait for disks, not for processors
	// enoughSeeds is from how many on rare rules must explain something, too.
	enoughSeeds = 1500
)

func TestDifferential(t *testing.T) {
	d := harness.NewDev(t)
	d.Start("--region", "a")
	gnomon := d.Endpoints("a").Kafka[0]
	first, end := 0, *seedCount
	if *oneSeed >= 0 {
		first, end = *oneSeed, *oneSeed+1
	}
	r := &report{used: map[*rule]int{}}
	seeds := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for seed := range seeds {
				r.enter(t, seed, runSequence(t, seed, gnomon))
			}
		})
	}
	for seed := first; seed < end; seed++ {
		seeds <- seed
	}
	close(seeds)
	workers.Wait()
	r.conclude(t)
}

// outcome is what one sequence gave.
type outcome struct {
	requests int
	used     map[*rule]int
	faults   []string
	err      error
}

// runSequence asks both the same until the sequence is over, or they differ in a way that nobody has explained.
func runSequence(t *testing.T, seed int, gnomon string) outcome {
	out := outcome{used: map[*rule]int{}}
	fake, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.AllowAutoTopicCreation(), kfake.GroupMaxSessionTimeout(30*time.Minute),
	)
	if err != nil {
		out.err = err
		return out
	}
	defer fake.Close()
	prefix := fmt.Sprintf("d%d-", seed)
	g, k := newSide("gnomon", gnomon, prefix), newSide("kfake", fake.ListenAddrs()[0], prefix)
	defer g.close()
	defer k.close()
	w := &world{Rand: rand.New(rand.NewPCG(uint64(seed), 0)), prefix: prefix, now: time.Now().UnixMilli() - 60_000}
	defer g.ask("main", w.end())
	next := w.begin()
	for range stepsPerSeed {
		ga, ka := ask(next, g, k)
		out.requests += len(ga)
		if *oneSeed >= 0 {
			trace(t, g, k, ga, ka)
		}
		if !out.judge(g, k, ga, ka) {
			break
		}
		next = w.step()
	}
	return out
}

// ask takes a step with both sides at once.
func ask(next step, g, k *side) (ga, ka []answer) {
	var both sync.WaitGroup
	both.Go(func() { ga = next(g) })
	both.Go(func() { ka = next(k) })
	both.Wait()
	return ga, ka
}

// judge compares the answers of a step, and tells whether the sequence goes on.
func (o *outcome) judge(g, k *side, ga, ka []answer) bool {
	goesOn := true
	for i := range min(len(ga), len(ka)) { // there may be fewer where one is refused
		if ga[i].end == "no answer" && ka[i].end == "no answer" {
			o.faults = append(o.faults, fmt.Sprintf("neither answers a %s", kmsg.NameForKey(ga[i].req.Key())))
			return false
		}
		for _, d := range compare(g, k, ga[i], ka[i]) {
			found := explain(d)
			if found == nil {
				o.faults = append(o.faults, d.String())
				goesOn = false
			}
			for _, r := range found {
				o.used[r]++
				goesOn = goesOn && !r.parts
			}
		}
	}
	if goesOn && len(ga) != len(ka) {
		o.faults = append(o.faults, fmt.Sprintf("%d answers, kfake has %d: %s; %s", len(ga), len(ka), answers(g, ga), answers(k, ka)))
		return false
	}
	return goesOn
}

func answers(s *side, all []answer) string {
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, " %s: %s", a.label, describe(s, a))
	}
	return b.String()
}

// describe is all of an answer that is compared.
func describe(s *side, a answer) string {
	var b strings.Builder
	elements := flatten(s, a)
	for _, path := range slices.Sorted(maps.Keys(elements)) {
		fmt.Fprintf(&b, "\n      %s", path)
		for _, name := range slices.Sorted(maps.Keys(elements[path].fields)) {
			fmt.Fprintf(&b, " %s=%s", name, elements[path].fields[name])
		}
	}
	return b.String()
}

func trace(t *testing.T, g, k *side, ga, ka []answer) {
	for i := range ga {
		t.Logf("%s v%d (%s) %+v\n    gnomon%s", kmsg.NameForKey(ga[i].req.Key()), ga[i].req.GetVersion(), ga[i].label, ga[i].req, describe(g, ga[i]))
		if i < len(ka) {
			t.Logf("    kfake%s", describe(k, ka[i]))
		}
	}
}

// report gathers the outcomes of all sequences.
type report struct {
	mu       sync.Mutex
	requests int
	used     map[*rule]int
}

func (r *report) enter(t *testing.T, seed int, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.err != nil {
		t.Errorf("seed %d: %v", seed, o.err)
	}
	for _, f := range o.faults {
		t.Errorf("seed %d: %s", seed, f)
	}
	r.requests += o.requests
	for rule, n := range o.used {
		r.used[rule] += n
	}
}

// conclude wants every rule to have explained something, if there were enough sequences for it.
func (r *report) conclude(t *testing.T) {
	if *oneSeed >= 0 {
		return
	}
	for _, rule := range rules {
		if r.used[rule] == 0 && (*seedCount >= enoughSeeds || *seedCount >= 150 && !rule.rare) {
			t.Errorf("rule %q (%s) explains nothing: it goes, or the sequences must be changed", rule.name, rule.api)
		}
		end := ""
		if rule.parts {
			end = " (ends the sequence)"
		}
		t.Logf("%5d %s: %s%s", r.used[rule], rule.api, rule.name, end)
	}
	t.Logf("%d sequences, %d requests", *seedCount, r.requests)
}

// docs/KAFKA.md lists the rules.
func TestDifferencesAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| API | difference | why |\n|---|---|---|\n")
	for _, r := range slices.SortedStableFunc(slices.Values(rules), func(a, b *rule) int { return strings.Compare(a.api, b.api) }) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.api, r.name, r.why)
	}
	golden.Section(t, "../../docs/KAFKA.md", "differences from kfake", b.String())
}
