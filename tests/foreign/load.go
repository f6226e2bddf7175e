package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loadCommand asks an authority for tokens, many at once, until it has so many, and fails if one request does, unless told
// that it may. It prints the fingerprint of the last token (SHA-256 of its signing input), or writes those of all that it was
// given to a file; never a token.
func loadCommand(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	address := flags.String("token-endpoint", "", "where tokens are asked for")
	client := flags.String("client", "", "client id")
	secretFile := flags.String("secret-file", "", "file with the client's secret")
	count := flags.Int64("count", 1000, "how many tokens")
	file := flags.String("fingerprints", "", "file for the fingerprints of all tokens")
	mayFail := flags.Bool("may-fail", false, "a caller that gets no token stops, and that is all")
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
	released, err := openList(*file)
	if err != nil {
		return err
	}
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
				fingerprint := fingerprintOf(token)
				last.Store(fingerprint)
				released.add(fingerprint)
			}
		})
	}
	callersDone.Wait()
	close(errors)
	if err := <-errors; err != nil && !*mayFail {
		return err
	}
	if fingerprint, some := last.Load().(string); some {
		fmt.Println(fingerprint)
	}
	return released.close()
}

func fingerprintOf(token string) string {
	signed := token[:max(strings.LastIndexByte(token, '.'), 0)]
	return fmt.Sprintf("%x", sha256.Sum256([]byte(signed)))
}

// list is a file that many write lines to.
type list struct {
	mutex sync.Mutex
	file  *os.File
}

func openList(path string) (*list, error) {
	if path == "" {
		return &list{}, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return &list{file: file}, err
}

func (l *list) add(line string) {
	if l.file != nil {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		fmt.Fprintln(l.file, line)
	}
}

func (l *list) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

type request struct{ address, client, secret string }

func (r *request) token() (string, error) {
	request, err := http.NewRequest("POST", r.address, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(r.client, r.secret)
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(request)
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

// recordedCommand looks in a log for tokens that were released: each fingerprint of the file must be inside an entry of the
// signed tree, wherever in it. It knows nothing else of entries.
func recordedCommand(arguments []string) error {
	flags := flag.NewFlagSet("recorded", flag.ExitOnError)
	file := flags.String("fingerprints", "", "file with one fingerprint a line, hex")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	missing := map[[32]byte]bool{}
	for _, line := range strings.Fields(string(text)) {
		bytes, err := hex.DecodeString(line)
		if err != nil || len(bytes) != 32 {
			return fmt.Errorf("%q is no fingerprint", line)
		}
		missing[[32]byte(bytes)] = true
	}
	released := len(missing)
	signed, err := place.read("checkpoint")
	if err != nil {
		return err
	}
	tree, err := place.openCheckpoint(signed)
	if err != nil {
		return err
	}
	for bundle := int64(0); bundle*width < tree.N; bundle++ {
		entries, err := place.bundle(tree, bundle)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			for start := 0; start+32 <= len(entry); start++ {
				delete(missing, [32]byte(entry[start:start+32]))
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d of %d released tokens are not in the log", len(missing), released)
	}
	fmt.Println(released)
	return nil
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
