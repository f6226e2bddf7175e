package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// witnessCommand runs torchwood's litewitness until it is told to stop. It keeps its key in an ssh-agent: here one that
// lives in this process. The first line of output is the witness's vkey.
func witnessCommand(arguments []string) error {
	flags := flag.NewFlagSet("witness", flag.ExitOnError)
	program := flags.String("litewitness", "", "the program")
	database := flags.String("db", "", "its database")
	name := flags.String("name", "witness.example/lite", "its name")
	listen := flags.String("listen", "", "its address")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	// A fixed key, so that a witness that starts again is the same one.
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	signer, err := torchwood.NewCosignatureSigner(*name, key)
	if err != nil {
		return err
	}
	socket := *database + ".agent"
	fingerprint, err := serveAgent(socket, key)
	if err != nil {
		return err
	}
	witness := exec.Command(*program, "-db", *database, "-name", *name, "-listen", *listen, "-ssh-agent", socket, "-key", fingerprint)
	witness.Stderr = os.Stderr
	if err := witness.Start(); err != nil {
		return err
	}
	fmt.Println(signer.Verifier())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- witness.Wait() }()
	select {
	case <-stop:
		return errors.Join(witness.Process.Signal(syscall.SIGINT), <-ended)
	case err := <-ended:
		return fmt.Errorf("litewitness ended: %v", err)
	}
}

// serveAgent answers on the socket as an ssh-agent with this one key, and tells the key's SSH fingerprint.
func serveAgent(socket string, key ed25519.PrivateKey) (string, error) {
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return "", err
	}
	keyring := agent.NewKeyring()
	if err := keyring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		return "", err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, connection) }()
		}
	}()
	return ssh.FingerprintSHA256(public), nil
}

// witnessDatabaseCommand tells a litewitness that has run once which log to follow, as its operator does with witnessctl.
func witnessDatabaseCommand(arguments []string) error {
	flags := flag.NewFlagSet("witness-db", flag.ExitOnError)
	database := flags.String("db", "", "the witness's database")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	connection, err := sqlite.OpenConn(*database, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer connection.Close()
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		return err
	}
	origin := place.verifier.Name()
	err = sqlitex.Execute(connection, "INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)",
		&sqlitex.ExecOptions{Args: []any{origin, empty.String()}})
	if err != nil {
		return err
	}
	return sqlitex.Execute(connection, "INSERT INTO key (origin, key) VALUES (?, ?)",
		&sqlitex.ExecOptions{Args: []any{origin, place.vkey}})
}

// submitCommand sends the log's checkpoint to a witness (C2SP tlog-witness) with a consistency proof that sumdb made
// from the log's tiles, and has torchwood check the cosignature that comes back. What the witness holds is asked for.
func submitCommand(arguments []string) error {
	flags := flag.NewFlagSet("submit", flag.ExitOnError)
	address := flags.String("witness", "", "submission prefix of the witness")
	vkey := flags.String("witness-key", "", "its vkey")
	old := flags.Int64("old", -1, "the size that the witness is claimed to hold; unset, it is asked")
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	signed, err := place.read("checkpoint")
	if err != nil {
		return err
	}
	tree, err := place.openCheckpoint(signed)
	if err != nil {
		return err
	}
	size := max(*old, 0)
	status, body, err := place.addCheckpoint(*address, tree, size, signed)
	if err != nil {
		return err
	}
	if status == http.StatusConflict && *old < 0 {
		if _, err := fmt.Sscanf(body, "%d\n", &size); err != nil {
			return err
		}
		if status, body, err = place.addCheckpoint(*address, tree, size, signed); err != nil {
			return err
		}
	}
	if status != http.StatusOK {
		return fmt.Errorf("status %d: %s", status, strings.TrimSpace(body))
	}
	verifier, err := torchwood.NewCosignatureVerifier(*vkey)
	if err != nil {
		return err
	}
	cosigned := append(bytes.Clone(signed), body...)
	opened, err := note.Open(cosigned, note.VerifierList(place.verifier, verifier))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != 2 {
		return fmt.Errorf("%d good signatures, not 2", len(opened.Sigs))
	}
	fmt.Printf("%s", body)
	return nil
}

func (p *place) addCheckpoint(address string, tree tlog.Tree, old int64, signed []byte) (int, string, error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	// A log that claims less than the witness holds has no proof to give: it is sent without one.
	if 0 < old && old < tree.N {
		proof, err := tlog.ProveTree(tree.N, old, p.hashes(tree))
		if err != nil {
			return 0, "", err
		}
		for _, hash := range proof {
			fmt.Fprintln(&body, hash)
		}
	}
	body.WriteByte('\n')
	body.Write(signed)
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Post(strings.TrimSuffix(address, "/")+"/add-checkpoint", "text/plain", &body)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}
