package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	for _, step := range os.Args[1:] {
		kind, url, _ := strings.Cut(step, ":")
		var answer *http.Response
		var err error
		if kind == "post" {
			answer, err = http.Post(url, "text/plain", strings.NewReader("a body"))
		} else {
			answer, err = http.Get(url)
		}
		if err != nil {
			fmt.Println("failed", err)
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, strings.TrimSpace(string(body)))
	}
}
