package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// writer is Tessera's POSIX log, open for appending.
type writer struct {
	appender *tessera.Appender
	close    func(context.Context) error
}

func openTessera(folder, name string, batchSize uint, batchAge, checkpoints time.Duration, outstanding uint) (*writer, error) {
	secret, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(folder+"/key.vkey", []byte(vkey+"\n"), 0o644); err != nil {
		return nil, err
	}
	ctx := context.Background()
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return nil, err
	}
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithBatching(batchSize, batchAge).
		WithCheckpointInterval(checkpoints).WithPushback(outstanding)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	return &writer{appender, shutdown}, err
}

// entry is as long as one of ours and as hard to compress.
func entry(length int, number uint64) *tessera.Entry {
	data := make([]byte, length)
	binary.BigEndian.PutUint64(data, number*0x9e3779b97f4a7c15)
	return tessera.NewEntry(data)
}

// writeCommand writes a log of so many entries with Tessera: what an auditor of ours has to get along with.
func writeCommand(arguments []string) error {
	flags := flag.NewFlagSet("write", flag.ExitOnError)
	folder := flags.String("folder", "", "where")
	count := flags.Uint64("count", 70_000, "entries")
	length := flags.Int("length", 48, "bytes of an entry")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	log, err := openTessera(*folder, "tessera.example/log", 4096, 100*time.Millisecond, time.Second, uint(*count)+1)
	if err != nil {
		return err
	}
	futures := make([]tessera.IndexFuture, 0, *count)
	for number := range *count {
		futures = append(futures, log.appender.Add(context.Background(), entry(*length, number)))
	}
	for _, future := range futures {
		if _, err := future(); err != nil {
			return err
		}
	}
	return log.close(context.Background())
}

// hammerCommand measures Tessera's durable appends: so many callers, each waiting for its index before it sends the
// next entry. Prints one JSON line.
func hammerCommand(arguments []string) error {
	flags := flag.NewFlagSet("hammer", flag.ExitOnError)
	folder := flags.String("folder", "", "where")
	callers := flags.Int("callers", 64, "how many wait at once")
	length := flags.Int("length", 48, "bytes of an entry")
	batch := flags.Uint("batch", 256, "entries of a batch")
	age := flags.Duration("age", 250*time.Millisecond, "how long a batch waits for more")
	checkpoints := flags.Duration("checkpoints", time.Second, "how often a checkpoint is published")
	warmUp := flags.Duration("warm-up", time.Second, "not measured")
	length2 := flags.Duration("for", 5*time.Second, "measured")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	log, err := openTessera(*folder, "tessera.example/hammer", *batch, *age, *checkpoints, uint(*callers)*2+8192)
	if err != nil {
		return err
	}
	started := time.Now()
	from, to := started.Add(*warmUp), started.Add(*warmUp+*length2)
	latencies := make([][]time.Duration, *callers)
	var number atomic.Uint64
	var failed atomic.Pointer[error]
	var done sync.WaitGroup
	for caller := range *callers {
		done.Go(func() {
			for {
				begin := time.Now()
				if begin.After(to) || failed.Load() != nil {
					return
				}
				if _, err := log.appender.Add(context.Background(), entry(*length, number.Add(1)))(); err != nil {
					failed.Store(&err)
					return
				}
				if end := time.Now(); begin.After(from) && end.Before(to) {
					latencies[caller] = append(latencies[caller], end.Sub(begin))
				}
			}
		})
	}
	done.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	all := slices.Concat(latencies...)
	slices.Sort(all)
	if len(all) == 0 {
		return fmt.Errorf("nothing was appended in %s", *length2)
	}
	at := func(part float64) float64 {
		return all[min(int(part*float64(len(all))), len(all)-1)].Seconds() * 1e3
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"callers": *callers, "per_second": float64(len(all)) / length2.Seconds(),
		"p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999),
	})
}
