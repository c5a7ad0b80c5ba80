// The commit work of bench/support/commit_load.hpp on etcd's raft, as Debian ships it: a whole cluster in one
// goroutine, every message marshalled into the receiver's in-box and unmarshalled there.
//
// In its favour: the payloads of a window are handed over in one allocation and in one proposal, messages are marshalled
// into a buffer that is kept, and nothing is logged.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math"
	"os"
	"runtime"
	"sort"
	"syscall"

	"go.etcd.io/etcd/raft"
	"go.etcd.io/etcd/raft/raftpb"
)

const (
	trimAt       = 8192
	trimTo       = 1024
	electionTick = 10
)

type silent struct{}

func (silent) Debug(v ...interface{})                   {}
func (silent) Debugf(format string, v ...interface{})   {}
func (silent) Error(v ...interface{})                   {}
func (silent) Errorf(format string, v ...interface{})   {}
func (silent) Info(v ...interface{})                    {}
func (silent) Infof(format string, v ...interface{})    {}
func (silent) Warning(v ...interface{})                 {}
func (silent) Warningf(format string, v ...interface{}) {}
func (silent) Fatal(v ...interface{})                   { log.Fatal(v...) }
func (silent) Fatalf(format string, v ...interface{})   { log.Fatalf(format, v...) }
func (silent) Panic(v ...interface{})                   { log.Panic(v...) }
func (silent) Panicf(format string, v ...interface{})   { log.Panicf(format, v...) }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type member struct {
	raw     *raft.RawNode
	storage *raft.MemoryStorage
	inBox   []byte // Frames: length, then a marshalled message.
	applied uint64
	count   uint64
	sum     uint64
}

type cluster struct {
	members []*member
	voters  raftpb.ConfState
	sent    uint64
}

func newCluster(size int) *cluster {
	c := &cluster{}
	for id := 1; id <= size; id++ {
		c.voters.Voters = append(c.voters.Voters, uint64(id))
	}
	for id := 1; id <= size; id++ {
		storage := raft.NewMemoryStorage()
		var start raftpb.Snapshot
		start.Metadata = raftpb.SnapshotMetadata{ConfState: c.voters, Index: 1, Term: 1}
		must(storage.ApplySnapshot(start))
		raw, err := raft.NewRawNode(&raft.Config{
			ID: uint64(id), ElectionTick: electionTick, HeartbeatTick: 1, Storage: storage, Applied: 1,
			MaxSizePerMsg: 1 << 20, MaxCommittedSizePerReady: math.MaxUint64, MaxInflightMsgs: 64,
			CheckQuorum: true, PreVote: true, Logger: silent{}})
		must(err)
		c.members = append(c.members, &member{raw: raw, storage: storage, applied: 1})
	}
	must(c.members[0].raw.Campaign())
	for c.members[0].raw.BasicStatus().RaftState != raft.StateLeader || c.members[0].applied < c.last() {
		c.round()
	}
	return c
}

func (c *cluster) last() uint64 {
	last, err := c.members[0].storage.LastIndex()
	must(err)
	return last
}

// Takes in a member's in-box, then hands out all its output.
func (c *cluster) turn(m *member) bool {
	moved := len(m.inBox) != 0
	for at := 0; at < len(m.inBox); {
		size := int(binary.LittleEndian.Uint32(m.inBox[at:]))
		var message raftpb.Message
		must(message.Unmarshal(m.inBox[at+4 : at+4+size]))
		must(m.raw.Step(message))
		at += 4 + size
	}
	m.inBox = m.inBox[:0]
	for m.raw.HasReady() {
		moved = true
		c.handle(m, m.raw.Ready())
	}
	return moved
}

func (c *cluster) handle(m *member, ready raft.Ready) {
	must(m.storage.Append(ready.Entries))
	if !raft.IsEmptyHardState(ready.HardState) {
		must(m.storage.SetHardState(ready.HardState))
	}
	for i := range ready.Messages {
		c.send(&ready.Messages[i])
	}
	for i := range ready.CommittedEntries {
		entry := &ready.CommittedEntries[i]
		if len(entry.Data) != 0 {
			m.count++
			m.sum += uint64(entry.Data[0])
		}
		m.applied = entry.Index
	}
	m.raw.Advance(ready)
}

func (c *cluster) send(message *raftpb.Message) {
	to := c.members[message.To-1]
	size := message.Size()
	at := len(to.inBox)
	for cap(to.inBox) < at+4+size {
		to.inBox = append(to.inBox[:cap(to.inBox)], 0)
	}
	to.inBox = to.inBox[:at+4+size]
	binary.LittleEndian.PutUint32(to.inBox[at:], uint32(size))
	if _, err := message.MarshalTo(to.inBox[at+4:]); err != nil {
		log.Fatal(err)
	}
	c.sent++
}

func (c *cluster) round() bool {
	moved := false
	for _, m := range c.members {
		moved = c.turn(m) || moved
	}
	return moved
}

func (c *cluster) trim() {
	for _, m := range c.members {
		first, err := m.storage.FirstIndex()
		must(err)
		if m.applied >= first+trimAt {
			_, err := m.storage.CreateSnapshot(m.applied, &c.voters, make([]byte, 16))
			must(err)
			must(m.storage.Compact(m.applied - trimTo))
		}
	}
}

// Proposes a window in `calls` of equal size; returns when the leader has applied it.
func (c *cluster) commit(window [][]byte, perCall int) {
	size := len(window[0])
	memory := make([]byte, len(window)*size)
	entries := make([]raftpb.Entry, len(window))
	for i, payload := range window {
		data := memory[i*size : (i+1)*size : (i+1)*size]
		copy(data, payload)
		entries[i].Data = data
	}
	leader := c.members[0]
	end := leader.count + uint64(len(window))
	for ; len(entries) != 0; entries = entries[perCall:] {
		must(leader.raw.Step(raftpb.Message{Type: raftpb.MsgProp, From: 1, Entries: entries[:perCall:perCall]}))
	}
	for leader.count < end {
		c.round()
	}
	c.trim()
}

func (c *cluster) verify(count, sum uint64) {
	for beat := 0; beat < electionTick/2; beat++ {
		c.members[0].raw.Tick()
		for c.round() {
		}
	}
	for _, m := range c.members {
		if m.count != count || m.sum != sum {
			log.Fatalf("a member applied %d entries of %d, sum %d of %d", m.count, count, m.sum, sum)
		}
	}
}

// Nanoseconds that this process has computed, the garbage collector included.
func computed() float64 {
	var used syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64(used.Utime.Nano() + used.Stime.Nano())
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func main() {
	nodes := flag.Int("nodes", 3, "members")
	windowSize := flag.Int("window", 64, "entries proposed at once")
	payload := flag.Int("payload", 16, "bytes of an entry")
	mode := flag.String("mode", "span", "span: a window in one proposal; single: a proposal for each entry")
	entries := flag.Int("entries", 100000, "entries of a run")
	runs := flag.Int("runs", 5, "runs")
	flag.Parse()
	raft.SetLogger(silent{})

	const different = 16
	source := make([]byte, different**payload)
	for k := 0; k < different; k++ {
		source[k**payload] = byte(3*k + 1)
	}
	var window [][]byte
	var sum uint64
	for k := 0; k < *windowSize; k++ {
		at := k % different * *payload
		window = append(window, source[at:at+*payload])
		sum += uint64(source[at])
	}
	perCall := *windowSize
	if *mode == "single" {
		perCall = 1
	} else if *mode != "span" {
		fmt.Fprintln(os.Stderr, "--mode is span or single")
		os.Exit(2)
	}

	c := newCluster(*nodes)
	windows := uint64(0)
	run := func(n int) {
		for w := 0; w < n; w++ {
			c.commit(window, perCall)
		}
		windows += uint64(n)
	}
	run(2*trimAt / *windowSize + 1)

	perRun := (*entries + *windowSize - 1) / *windowSize
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	sent := c.sent
	var times []float64
	for r := 0; r < *runs; r++ {
		begin := computed()
		run(perRun)
		times = append(times, (computed()-begin)/float64(perRun**windowSize))
	}
	runtime.ReadMemStats(&after)
	all := float64(perRun * *windowSize * *runs)
	middle := median(times)
	fmt.Printf("ns_entry=%.2f ns_entry_median=%.2f msgs_entry=%.4f allocs_entry=%.6f\n", times[0], middle,
		float64(c.sent-sent)/all, float64(after.Mallocs-before.Mallocs)/all)
	c.verify(windows*uint64(*windowSize), windows*sum)
}
