// Command foreign puts other people's transparency-log code to work on a ledger of ours: verifiers, a witness, and a
// log of another make to compare with. `cargo xtask test foreign` and `cargo xtask bench ledger` call it.
//
// Every verifier here is somebody else's; the glue only hands bytes to it. Exit codes: 0 the verifier passes,
// 1 it does not (a time-out counts as that), 64 the command line is wrong.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

var commands = map[string]func(arguments []string) error{
	"fsck":       fsckCommand,
	"sumdb":      sumdbCommand,
	"torchwood":  torchwoodCommand,
	"proof":      proofCommand,
	"policy":     policyCommand,
	"witness":    witnessCommand,
	"witness-db": witnessDatabaseCommand,
	"submit":     submitCommand,
	"load":       loadCommand,
	"recorded":   recordedCommand,
	"serve":      serveCommand,
	"write":      writeCommand,
	"hammer":     hammerCommand,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		names := make([]string, 0, len(commands))
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "usage: foreign %s …\n", strings.Join(names, "|"))
		os.Exit(64)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
