// Checks a stream of an audit trail with golang.org/x/mod alone: opens its newest checkpoint with sumdb/note, rebuilds the
// Merkle tree from the records' hashes with sumdb/tlog, and compares the roots.
//
//	go run . <stream directory> <verifier.vkey>
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type attribute struct {
	Key   string
	Value struct {
		StringValue string
		IntValue    json.RawMessage
	}
}

type payload struct {
	ResourceLogs []struct {
		ScopeLogs []struct {
			LogRecords []struct{ Attributes []attribute }
		}
	}
}

// stored is a tlog.HashReader over hashes in storage order.
type stored []tlog.Hash

func (hashes stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = hashes[index]
	}
	return found, nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// leaves reads audit.integrity.value of each record, by audit.sequence.number.
func leaves(directory string) map[int64]tlog.Hash {
	files, err := filepath.Glob(filepath.Join(directory, "*.jsonl"))
	check(err)
	sort.Strings(files)
	found := map[int64]tlog.Hash{}
	for _, name := range files {
		file, err := os.Open(name)
		check(err)
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<26)
		for lines.Scan() {
			var line payload
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			for _, resource := range line.ResourceLogs {
				for _, scope := range resource.ScopeLogs {
					for _, record := range scope.LogRecords {
						sequence, hash := int64(-1), tlog.Hash{}
						for _, one := range record.Attributes {
							switch one.Key {
							case "audit.sequence.number":
								sequence, err = strconv.ParseInt(strings.Trim(string(one.Value.IntValue), `"`), 10, 64)
								check(err)
							case "audit.integrity.value":
								bytes, err := base64.StdEncoding.DecodeString(one.Value.StringValue)
								check(err)
								copy(hash[:], bytes)
							}
						}
						if sequence >= 0 {
							found[sequence] = hash
						}
					}
				}
			}
		}
		check(lines.Err())
		file.Close()
	}
	return found
}

func main() {
	log.SetFlags(0)
	directory := os.Args[1]
	vkeys, err := os.ReadFile(os.Args[2])
	check(err)
	var verifiers []note.Verifier
	for _, vkey := range strings.Fields(string(vkeys)) {
		verifier, err := note.NewVerifier(vkey)
		check(err)
		verifiers = append(verifiers, verifier)
	}
	signed, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	check(err)

	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	found := leaves(directory)
	var hashes stored
	for index := int64(0); index < size; index++ {
		leaf, ok := found[index]
		if !ok {
			log.Fatalf("record %d is missing", index)
		}
		more, err := tlog.StoredHashesForRecordHash(index, leaf, hashes)
		check(err)
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(size, hashes)
	check(err)
	if root.String() != lines[2] {
		log.Fatalf("root of %d records is %s, the checkpoint says %s", size, root, lines[2])
	}
	for _, index := range []int64{0, size / 2, size - 1} {
		proof, err := tlog.ProveRecord(size, index, hashes)
		check(err)
		check(tlog.CheckRecord(proof, size, root, index, found[index]))
	}
	fmt.Printf("%s %d %s\n", lines[0], size, lines[2])
}
