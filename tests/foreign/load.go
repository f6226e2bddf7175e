package main

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// loadCommand asks an authority for tokens, many at once, until it has so many, and fails if one request does. It prints
// the fingerprint of the last token (SHA-256 of its signing input), never a token.
func loadCommand(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	address := flags.String("token-endpoint", "", "where tokens are asked for")
	client := flags.String("client", "", "client id")
	secretFile := flags.String("secret-file", "", "file with the client's secret")
	count := flags.Int64("count", 1000, "how many tokens")
	callers := flags.Int("callers", 64, "how many requests at once")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	secret, err := os.ReadFile(*secretFile)
	if err != nil {
		return err
	}
	one := &request{address: *address, client: *client, secret: strings.TrimSpace(string(secret))}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = *callers
	var next atomic.Int64
	errors := make(chan error, *callers)
	var last atomic.Value
	var callersDone sync.WaitGroup
	for range *callers {
		callersDone.Go(func() {
			for next.Add(1) <= *count {
				token, err := one.token()
				if err != nil {
					errors <- err
					return
				}
				last.Store(token)
			}
		})
	}
	callersDone.Wait()
	close(errors)
	if err := <-errors; err != nil {
		return err
	}
	token := last.Load().(string)
	signed := token[:max(strings.LastIndexByte(token, '.'), 0)]
	fmt.Printf("%x\n", sha256.Sum256([]byte(signed)))
	return nil
}

type request struct{ address, client, secret string }

func (r *request) token() (string, error) {
	request, err := http.NewRequest("POST", r.address, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(r.client, r.secret)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &token); err != nil || answer.StatusCode != http.StatusOK || token.AccessToken == "" {
		return "", fmt.Errorf("no token, status %s", answer.Status)
	}
	return token.AccessToken, nil
}

// serveCommand serves a folder as a log would be, byte for byte: for damaged logs, which no honest server serves.
func serveCommand(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	folder := flags.String("folder", "", "what is served")
	listen := flags.String("listen", "", "where")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	return http.ListenAndServe(*listen, http.FileServer(http.Dir(*folder)))
}
