package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/migration"
)

// progress shows how far a run is: on a terminal a bar that moves, elsewhere a line now
// and then. It writes beside the output, which may be the data itself.
type progress struct {
	terminal *terminal
	moves    bool
	share    func(migration.Counts) float64
	began    time.Time
	shown    time.Time
	drawn    bool // there is a bar to be wiped away
}

// How often something is shown on a terminal, and elsewhere.
const (
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
	barWidth  = 30
)

func newProgress(t *terminal, share func(migration.Counts) float64) *progress {
	now := time.Now()
	return &progress{terminal: t, moves: isTerminal(t.errors), share: share, began: now, shown: now}
}

// isTerminal reports whether a person may be looking.
func isTerminal(w any) bool {
	f, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) show(c migration.Counts) {
	every := lineEvery
	if p.moves {
		every = barEvery
	}
	if now := time.Now(); now.Sub(p.shown) >= every {
		p.shown = now
		p.draw(c)
	}
}

func (p *progress) draw(c migration.Counts) {
	line := fmt.Sprintf("%3.0f %% %s", 100*p.share(c), rate(c.Done, p.took()))
	if c.Failed > 0 {
		line += fmt.Sprintf(", %d refused", c.Failed)
	}
	if !p.moves {
		_, _ = fmt.Fprintln(p.terminal.errors, strings.TrimSpace(line))
		return
	}
	full := int(barWidth * min(p.share(c), 1))
	_, _ = fmt.Fprintf(p.terminal.errors, "\r\x1b[K[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), line)
	p.drawn = true
}

// end leaves the last state of a bar standing on its line.
func (p *progress) end(c migration.Counts) {
	if p.drawn {
		p.draw(c)
		_, _ = fmt.Fprintln(p.terminal.errors)
	}
}

func (p *progress) took() time.Duration { return time.Since(p.began) }

// rate says how many users took how long.
func rate(users int, took time.Duration) string {
	perSecond := float64(users) / max(took.Seconds(), 0.001)
	return fmt.Sprintf("%d users in %v (%.0f/s)", users, took.Round(100*time.Millisecond), perSecond)
}

func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }
