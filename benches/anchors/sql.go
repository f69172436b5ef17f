package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The time limit of a loan's context, where it has one: as long as the time-out of the report's pools.
const limit = 30 * time.Second

// Connections that cost nothing.
type connector struct{}

type connection struct{ number uint64 }

func (connector) Connect(context.Context) (driver.Conn, error) { return &connection{}, nil }
func (connector) Driver() driver.Driver                        { return nil }
func (*connection) Prepare(string) (driver.Stmt, error)        { return nil, errors.New("no statements") }
func (*connection) Begin() (driver.Tx, error)                  { return nil, errors.New("no transactions") }
func (*connection) Close() error                               { return nil }

func pool(connections int) *sql.DB {
	db := sql.OpenDB(connector{})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

// Acquires a connection, does this, and returns the connection.
func lend(db *sql.DB, limited bool, during func()) {
	ctx, cancel := context.Background(), func() {}
	if limited {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	connection, err := db.Conn(ctx)
	if err != nil {
		fail(err)
	}
	during()
	if err := connection.Close(); err != nil {
		fail(err)
	}
	cancel()
}

func measureSQL() {
	names := []string{"sql hit", "sql hit, limited"}
	for nth, ns := range hits() {
		say(names[nth], ns)
	}
	crowds()
}

// Nanoseconds of a loan: one task, ten connections, the shortest of 200 bursts of a millisecond or so.
func hits() [2]float64 {
	const loans = 4000
	runtime.GOMAXPROCS(1)
	db := pool(10)
	shortest := [2]float64{1e9, 1e9}
	for burst := 0; burst < 400; burst++ {
		variant := burst % 2
		began := time.Now()
		for loan := 0; loan < loans; loan++ {
			lend(db, variant == 1, func() {})
		}
		ns := float64(time.Since(began).Nanoseconds()) / loans
		if ns < shortest[variant] {
			shortest[variant] = ns
		}
	}
	return shortest
}

// 1,024 tasks on 16 connections and two threads: medians of 20 bursts of 80 ms.
func crowds() {
	runtime.GOMAXPROCS(2)
	var ns, spreads [2][]float64
	for burst := 0; burst < 40; burst++ {
		variant := burst % 2
		served, took := crowd(variant == 1)
		ns[variant] = append(ns[variant], float64(took.Nanoseconds())/float64(sum(served)))
		spreads[variant] = append(spreads[variant], spread(served))
	}
	for variant, name := range []string{"sql crowd", "sql crowd, limited"} {
		say(name, median(ns[variant]))
		say(name+", most / least", median(spreads[variant]))
	}
}

func crowd(limited bool) ([]int64, time.Duration) {
	const tasks = 1024
	db := pool(16)
	defer db.Close()
	var isOver atomic.Bool
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	served := make([]int64, tasks)
	for task := 0; task < tasks; task++ {
		ready.Add(1)
		done.Add(1)
		go func(task int) {
			defer done.Done()
			ready.Done()
			<-begin
			loans := int64(0)
			for !isOver.Load() {
				lend(db, limited, runtime.Gosched)
				if !isOver.Load() {
					loans++
				}
			}
			served[task] = loans
		}(task)
	}
	ready.Wait()
	began := time.Now()
	close(begin)
	time.Sleep(80 * time.Millisecond)
	isOver.Store(true)
	took := time.Since(began)
	done.Wait()
	return served, took
}
