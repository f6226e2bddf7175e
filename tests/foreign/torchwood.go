package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// torchwoodCommand reads the log with torchwood's client, as a monitor would: the checkpoint under a policy, then every
// entry, each authenticated by tiles.
func torchwoodCommand(arguments []string) error {
	flags := flag.NewFlagSet("torchwood", flag.ExitOnError)
	policyFile := flags.String("policy", "", "tlog-policy file; without one, the log's key alone")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	policy, err := place.policy(*policyFile)
	if err != nil {
		return err
	}
	return place.within(func(ctx context.Context) error { return place.torchwood(ctx, policy) })
}

func (p *place) torchwood(ctx context.Context, policy torchwood.Policy) error {
	signed, err := p.read("checkpoint")
	if err != nil {
		return err
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return err
	}
	reader, err := p.tileReader()
	if err != nil {
		return err
	}
	client, err := torchwood.NewClient(reader)
	if err != nil {
		return err
	}
	count := int64(0)
	for range client.AllEntries(ctx, checkpoint.Tree, 0) {
		count++
	}
	if err := client.Err(); err != nil {
		return err
	}
	if count != checkpoint.N {
		return fmt.Errorf("%d entries of %d", count, checkpoint.N)
	}
	return nil
}

func (p *place) tileReader() (torchwood.TileReader, error) {
	if p.isURL() {
		return torchwood.NewTileFetcher(p.at, torchwood.WithConcurrencyLimit(16))
	}
	return torchwood.NewTileFS(os.DirFS(p.at))
}

// policy is what the file says; without a file, that the log's own key has signed its own origin.
func (p *place) policy(file string) (torchwood.Policy, error) {
	if file == "" {
		return torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(p.verifier.Name()), torchwood.SingleVerifierPolicy(p.verifier)), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return torchwood.ParsePolicy(text)
}

// proofCommand verifies a tlog-proof of an entry with torchwood.
func proofCommand(arguments []string) error {
	flags := flag.NewFlagSet("proof", flag.ExitOnError)
	policyFile := flags.String("policy", "", "tlog-policy file; without one, the log's key alone")
	entry := flags.String("entry", "", "the entry, hex")
	proofFile := flags.String("proof", "", "file with the proof")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	policy, err := place.policy(*policyFile)
	if err != nil {
		return err
	}
	bytes, err := hex.DecodeString(*entry)
	if err != nil || len(bytes) == 0 {
		return errors.New("no entry")
	}
	proof, err := os.ReadFile(*proofFile)
	if err != nil {
		return err
	}
	return torchwood.VerifyProof(policy, tlog.RecordHash(bytes), proof)
}

// policyCommand has torchwood parse a policy file, and the log's checkpoint satisfy it.
func policyCommand(arguments []string) error {
	flags := flag.NewFlagSet("policy", flag.ExitOnError)
	policyFile := flags.String("policy", "", "tlog-policy file")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	policy, err := place.policy(*policyFile)
	if err != nil {
		return err
	}
	signed, err := place.read("checkpoint")
	if err != nil {
		return err
	}
	_, _, err = torchwood.VerifyCheckpoint(signed, policy)
	return err
}
