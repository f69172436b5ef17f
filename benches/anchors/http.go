package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The length of an answer.
const length = 64

// Requests a second and microseconds of processor time for each, of 1, 8 and 64 tasks with a connection each: medians of
// 15 bursts of 100 ms. One thread runs Go's code, as one runs the report's clients.
func measureHTTP(address string) {
	runtime.GOMAXPROCS(1)
	transport := &http.Transport{MaxIdleConns: 64, MaxIdleConnsPerHost: 64, DisableCompression: true}
	client := &http.Client{Transport: transport}
	for _, tasks := range []int{1, 8, 64} {
		ask(client, address, tasks)
		var rates, processor []float64
		for burst := 0; burst < 15; burst++ {
			before := spent()
			served, took := ask(client, address, tasks)
			if math.IsInf(spread(served), 1) {
				fail("a task was served nothing in a whole burst")
			}
			requests := float64(sum(served))
			rates = append(rates, requests/took.Seconds())
			processor = append(processor, (spent()-before).Seconds()*1e6/requests)
		}
		say(fmt.Sprintf("http %d, per second", tasks), median(rates))
		say(fmt.Sprintf("http %d, cpu us", tasks), median(processor))
	}
}

func ask(client *http.Client, address string, tasks int) ([]int64, time.Duration) {
	var isOver atomic.Bool
	var done sync.WaitGroup
	served := make([]int64, tasks)
	began := time.Now()
	for task := 0; task < tasks; task++ {
		done.Add(1)
		go func(task int) {
			defer done.Done()
			for !isOver.Load() {
				get(client, address)
				served[task]++
			}
		}(task)
	}
	time.Sleep(100 * time.Millisecond)
	isOver.Store(true)
	done.Wait()
	return served, time.Since(began)
}

func get(client *http.Client, address string) {
	response, err := client.Get("http://" + address + "/")
	if err != nil {
		fail(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) != length {
		fail(fmt.Sprint("an answer of ", len(body), " bytes: ", err))
	}
	response.Body.Close()
}

// What this process has had of the processor.
func spent() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
