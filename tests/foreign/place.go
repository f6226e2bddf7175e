package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// place is a published log: a folder or a URL, and the key that it must be signed with.
type place struct {
	at       string
	vkey     string
	limit    time.Duration
	verifier note.Verifier
}

// readPlace defines the flags of a place, and parses the command line.
func readPlace(flags *flag.FlagSet, arguments []string) (*place, error) {
	var p place
	var keyFile string
	flags.StringVar(&p.at, "log", "", "folder or URL of the log")
	flags.StringVar(&keyFile, "key", "", "file with the log's vkey")
	flags.DurationVar(&p.limit, "limit", 30*time.Second, "a verifier that takes longer has failed")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	vkey, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	p.vkey = strings.TrimSpace(string(vkey))
	p.verifier, err = note.NewVerifier(p.vkey)
	return &p, err
}

func (p *place) isURL() bool {
	return strings.HasPrefix(p.at, "http://") || strings.HasPrefix(p.at, "https://")
}

// read fetches one published file.
func (p *place) read(path string) ([]byte, error) {
	if !p.isURL() {
		return os.ReadFile(filepath.Join(p.at, filepath.FromSlash(path)))
	}
	answer, err := http.Get(strings.TrimSuffix(p.at, "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, os.ErrNotExist
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// within runs work; one that does not come back in time has failed.
func (p *place) within(work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("timed out")
	}
}
