// Go's client, asked by the benchmark: client ADDRESS METHOD REQUESTS TASKS. Prints its errors.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

func main() {
	address, method := os.Args[1], os.Args[2]
	requests, _ := strconv.Atoi(os.Args[3])
	tasks, _ := strconv.Atoi(os.Args[4])
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: tasks}}
	var next, failed int64
	var group sync.WaitGroup
	for task := 0; task < tasks; task++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				number := atomic.AddInt64(&next, 1) - 1
				if number >= int64(requests) {
					return
				}
				if ask(client, method, fmt.Sprintf("http://%s/%d", address, number)) != nil {
					atomic.AddInt64(&failed, 1)
				}
			}
		}()
	}
	group.Wait()
	fmt.Println(failed)
}

func ask(client *http.Client, method, url string) error {
	var body io.Reader
	if method == "POST" {
		body = strings.NewReader("a body")
	}
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return err
}
