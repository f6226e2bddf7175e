package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

// sumdbCommand verifies with golang.org/x/mod/sumdb, the code that guards Go's own checksum database: the note, every
// leaf against the authenticated tiles, inclusion proofs, consistency with older trees and with checkpoints named
// behind the flags.
func sumdbCommand(arguments []string) error {
	flags := flag.NewFlagSet("sumdb", flag.ExitOnError)
	place, err := readPlace(flags, arguments)
	if err != nil {
		return err
	}
	return place.within(func(context.Context) error { return place.sumdb(flags.Args()) })
}

func (p *place) sumdb(olderCheckpoints []string) error {
	signed, err := p.read("checkpoint")
	if err != nil {
		return err
	}
	tree, err := p.openCheckpoint(signed)
	if err != nil {
		return err
	}
	for _, path := range olderCheckpoints {
		signed, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		older, err := p.openCheckpoint(signed)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := p.checkConsistency(tree, older); err != nil {
			return fmt.Errorf("checkpoint of size %d: %w", older.N, err)
		}
	}
	reader := p.hashes(tree)
	for bundle := int64(0); bundle*width < tree.N; bundle++ {
		if err := p.checkBundle(tree, reader, bundle); err != nil {
			return err
		}
	}
	return p.checkProofs(tree, reader)
}

// openCheckpoint verifies the note and reads origin, size and root. sumdb's own ParseTree wants its own first line.
func (p *place) openCheckpoint(signed []byte) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(p.verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != p.verifier.Name() {
		return tlog.Tree{}, errors.New("checkpoint: not of this origin")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("checkpoint: no root")
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

func (p *place) checkConsistency(tree, older tlog.Tree) error {
	if older.N > tree.N {
		return fmt.Errorf("the log shrank to %d", tree.N)
	}
	proof, err := tlog.ProveTree(tree.N, older.N, p.hashes(tree))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash)
}

// checkBundle compares each entry's hash with the one that the signed tree has.
func (p *place) checkBundle(tree tlog.Tree, reader tlog.HashReader, bundle int64) error {
	entries, err := p.bundle(tree, bundle)
	if err != nil {
		return err
	}
	indexes := make([]int64, len(entries))
	for i := range entries {
		indexes[i] = tlog.StoredHashIndex(0, bundle*width+int64(i))
	}
	hashes, err := reader.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		if tlog.RecordHash(entry) != hashes[i] {
			return fmt.Errorf("leaf %d is not the entry's hash", bundle*width+int64(i))
		}
	}
	return nil
}

// bundle reads the entries of one bundle: each behind its length, all there, nothing after them.
func (p *place) bundle(tree tlog.Tree, bundle int64) ([][]byte, error) {
	count := min(tree.N-bundle*width, width)
	data, full, err := p.tile(tlog.Tile{H: 8, L: -1, N: bundle, W: int(count)})
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, count)
	for range count {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d is cut off", bundle)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(data) > 0 && !full {
		return nil, fmt.Errorf("bundle %d goes on after its entries", bundle)
	}
	return entries, nil
}

// checkProofs makes and checks proofs at the edges of the tree and of its tiles.
func (p *place) checkProofs(tree tlog.Tree, reader tlog.HashReader) error {
	for _, index := range []int64{0, 1, 255, 256, 257, 65_535, 65_536, tree.N / 3, tree.N / 2, tree.N - 2, tree.N - 1} {
		if index < 0 || index >= tree.N {
			continue
		}
		entries, err := p.bundle(tree, index/width)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return err
		}
		hash := tlog.RecordHash(entries[index%width])
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, hash); err != nil {
			return fmt.Errorf("inclusion of %d: %w", index, err)
		}
		older := tlog.Tree{N: index + 1}
		if older.Hash, err = tlog.TreeHash(older.N, reader); err != nil {
			return err
		}
		if err := p.checkConsistency(tree, older); err != nil {
			return fmt.Errorf("consistency with size %d: %w", older.N, err)
		}
	}
	return nil
}

// hashes reads hashes of the tree; sumdb verifies each against the root before it hands it out.
func (p *place) hashes(tree tlog.Tree) tlog.HashReader {
	return tlog.TileHashReader(tree, &tileReader{place: p, read: map[tlog.Tile][]byte{}})
}

type tileReader struct {
	place *place
	read  map[tlog.Tile][]byte
}

func (r *tileReader) Height() int { return 8 }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		data, known := r.read[tile]
		if !known {
			var err error
			if data, _, err = r.place.tile(tile); err != nil {
				return nil, err
			}
			data = bytes.Clone(data[:min(len(data), tile.W*tlog.HashSize)])
		}
		all = append(all, data)
	}
	return all, nil
}

func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, tile := range tiles {
		r.read[tile] = data[i]
	}
}

// tile reads a tile or, where a partial one was superseded, the full one.
func (p *place) tile(tile tlog.Tile) (data []byte, full bool, err error) {
	data, err = p.read(torchwood.TilePath(tile))
	if err == nil || tile.W == width || !errors.Is(err, os.ErrNotExist) {
		return data, false, err
	}
	tile.W = width
	data, err = p.read(torchwood.TilePath(tile))
	return data, true, err
}
