// Go's client: tasks that ask one request after the other, and print how each has ended.
//
// Arguments: the URL, whether HTTP/2 is spoken, the milliseconds that a request may take, those between two, the tasks.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

func number(at int) int {
	n, err := strconv.Atoi(os.Args[at])
	if err != nil {
		panic(err)
	}
	return n
}

func ask(client *http.Client, limit time.Duration, major int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if response.ProtoMajor != major {
		panic(response.Proto)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil
}

func main() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// The server's certificate is made for one run.
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	transport.MaxIdleConnsPerHost = number(5)
	major := 2
	if os.Args[2] != "true" {
		major = 1
		transport.ForceAttemptHTTP2 = false
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport}
	limit := time.Duration(number(3)) * time.Millisecond
	pause := time.Duration(number(4)) * time.Millisecond
	for task := 0; task < number(5); task++ {
		go func(task int) {
			for {
				fmt.Fprintf(os.Stdout, "%d %t\n", task, ask(client, limit, major))
				time.Sleep(pause)
			}
		}(task)
	}
	select {}
}
