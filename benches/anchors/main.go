// What Go's standard pools cost, as anchors from elsewhere for the report: a loan of database/sql, and a request of
// net/http. The script `measure` runs it; it prints a line for each figure, `name: figure`.
//
// As in the report's own benchmarks, variants take turns in short bursts, and the clock is read at the ends of a burst.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: anchors sql|http ADDRESS")
	}
	fmt.Printf("go: %s\n", runtime.Version())
	switch os.Args[1] {
	case "sql":
		measureSQL()
	case "http":
		measureHTTP(os.Args[2])
	default:
		fail("there is sql, and http")
	}
}

func say(name string, figure float64) {
	fmt.Printf("%s: %.6g\n", name, figure)
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

func median(figures []float64) float64 {
	sort.Float64s(figures)
	return figures[len(figures)/2]
}

func sum(counts []int64) (all int64) {
	for _, count := range counts {
		all += count
	}
	return all
}

// What the task had that had most, to what the one had that had least: +Inf where one got nothing.
func spread(counts []int64) float64 {
	most, least := counts[0], counts[0]
	for _, count := range counts {
		if count > most {
			most = count
		}
		if count < least {
			least = count
		}
	}
	return float64(most) / float64(least)
}
