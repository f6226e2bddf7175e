package main

import (
	"flag"
	"fmt"
	"net/url"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
)

// fsckCommand is Tessera's fsck: signature, every bundle hashed, every tile recomputed and compared, root.
//
// As a library: the program of this version reports a finding and still ends with 0. On a damaged log it may wait for
// ever when it has few workers, hence many of them and a limit.
func fsckCommand(arguments []string) error {
	flags := flag.NewFlagSet("fsck", flag.ExitOnError)
	workers := flags.Uint("workers", 128, "resources compared at once")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	var fetcher fsck.Fetcher = &client.FileFetcher{Root: place.at}
	if place.isURL() {
		base, err := url.Parse(place.at + "/")
		if err != nil {
			return err
		}
		if fetcher, err = client.NewHTTPFetcher(base, nil); err != nil {
			return err
		}
	}
	check := fsck.New(place.verifier.Name(), place.verifier, fetcher, leafHashes, fsck.Opts{N: *workers})
	started := time.Now()
	if err := place.within(check.Check); err != nil {
		return err
	}
	fmt.Printf("{\"seconds\":%f}\n", time.Since(started).Seconds())
	return nil
}

func leafHashes(bundle []byte) ([][]byte, error) {
	var entries api.EntryBundle
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	hashes := make([][]byte, 0, len(entries.Entries))
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}
