package test

import (
	"fmt"
	"os/exec"
	"testing"
)

// What it costs to look who is left, on a machine on which many other processes
// run: the whole of a run whose command leaves one process, which is found,
// described and killed.
func BenchmarkLeakCheck(b *testing.B) {
	for _, others := range []int{0, 5000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			crowd(b, others)
			for _, leaks := range []string{"ignore", "report"} {
				b.Run("leaks="+leaks, func(b *testing.B) {
					for b.Loop() {
						// Kill, so that nothing is waited for; ignore with keep looks at nothing.
						policy := map[string]string{"ignore": "keep", "report": "kill"}[leaks]
						cmd := exec.Command(reaperBin, "-q", "--leaks", leaks, "--leftovers", policy, "--", "sh", "-c", "( sleep 0.01 & )")
						if err := cmd.Run(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/run")
				})
			}
		})
	}
	reapOrphans(b)
}

// crowd starts processes that have nothing to do with the benchmark.
func crowd(b *testing.B, n int) {
	b.Helper()
	if n == 0 {
		return
	}
	s := launch(b, asSubreaper, nil, "--leftovers", "kill", "--leaks", "ignore", "--",
		"perl", "-e", `for (1 .. $ARGV[0]) { fork or sleep 1000000 } $| = 1; print "ready\n"; <STDIN>`, fmt.Sprint(n))
	s.expect("ready")
}
