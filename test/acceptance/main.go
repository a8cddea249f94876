// Checks a stream of an audit trail with golang.org/x/mod alone: opens its newest checkpoint with sumdb/note, rebuilds the
// Merkle tree from the records' hashes with sumdb/tlog, and compares the roots.
//
//	go run . <stream directory> <verifier.vkey>
//
// Or checks a proof, with the same packages and nothing else of the trail:
//
//	go run . record <proof.tlog-proof> <record.json> <verifier.vkey>
//	go run . consistency <proof.consistency-proof> <verifier.vkey>
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

// openKeys reads a file with one verifier key a line.
func openKeys(name string) note.Verifiers {
	vkeys, err := os.ReadFile(name)
	check(err)
	var verifiers []note.Verifier
	for _, vkey := range strings.Fields(string(vkeys)) {
		verifier, err := note.NewVerifier(vkey)
		check(err)
		verifiers = append(verifiers, verifier)
	}
	return note.VerifierList(verifiers...)
}

// checkpoint is what a signed note states.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

// open opens a signed note and reads the checkpoint in it.
func open(signed string, verifiers note.Verifiers) checkpoint {
	opened, err := note.Open([]byte(signed), verifiers)
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return checkpoint{lines[0], size, root}
}

// head splits off a proof's lines in front of the first empty one, the first of which must be as given.
func head(name, header string) (lines []string, rest string) {
	text, err := os.ReadFile(name)
	check(err)
	front, rest, found := strings.Cut(string(text), "\n\n")
	lines = strings.Split(front, "\n")
	if !found || lines[0] != header {
		log.Fatalf("%s is no %s", name, header)
	}
	return lines[1:], rest
}

// number reads a line of a name and a number.
func number(line, name string) int64 {
	value, err := strconv.ParseInt(strings.TrimPrefix(line, name+" "), 10, 64)
	check(err)
	return value
}

func parseHashes(lines []string) (hashes []tlog.Hash) {
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		check(err)
		hashes = append(hashes, hash)
	}
	return hashes
}

func checkRecord(proofFile, recordFile, keyFile string) {
	lines, signed := head(proofFile, "c2sp.org/tlog-proof@v1")
	index := number(lines[0], "index")
	newest := open(signed, openKeys(keyFile))
	record, err := os.ReadFile(recordFile)
	check(err)
	proof := tlog.RecordProof(parseHashes(lines[1:]))
	check(tlog.CheckRecord(proof, newest.size, newest.root, index, tlog.RecordHash(record)))
	fmt.Printf("%s %d of %d\n", newest.origin, index, newest.size)
}

func checkConsistency(proofFile, keyFile string) {
	lines, notes := head(proofFile, "risktrail/consistency-proof@v1")
	before, after, found := strings.Cut(notes, "\n--\n")
	if !found {
		log.Fatal("there are no two notes")
	}
	verifiers := openKeys(keyFile)
	older, newer := open(before+"\n", verifiers), open(after, verifiers)
	if older.origin != newer.origin || older.size != number(lines[0], "old") || newer.size != number(lines[1], "new") {
		log.Fatal("the notes are not those that the proof is about")
	}
	proof := tlog.TreeProof(parseHashes(lines[2:]))
	check(tlog.CheckTree(proof, newer.size, newer.root, older.size, older.root))
	fmt.Printf("%s %d to %d\n", newer.origin, older.size, newer.size)
}

func checkStream(directory, keyFile string) {
	signed, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	check(err)
	newest := open(string(signed), openKeys(keyFile))
	size, root := newest.size, newest.root
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
	rebuilt, err := tlog.TreeHash(size, hashes)
	check(err)
	if rebuilt != root {
		log.Fatalf("root of %d records is %s, the checkpoint says %s", size, rebuilt, root)
	}
	for _, index := range []int64{0, size / 2, size - 1} {
		proof, err := tlog.ProveRecord(size, index, hashes)
		check(err)
		check(tlog.CheckRecord(proof, size, root, index, found[index]))
	}
	fmt.Printf("%s %d %s\n", newest.origin, size, root)
}

func main() {
	log.SetFlags(0)
	args := os.Args[1:]
	switch {
	case len(args) == 4 && args[0] == "record":
		checkRecord(args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "consistency":
		checkConsistency(args[1], args[2])
	case len(args) == 2:
		checkStream(args[0], args[1])
	default:
		log.Fatal("which stream, or which proof?")
	}
}
