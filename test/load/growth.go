package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// grown is a store with so many users and sessions, and what calls on it took.
type grown struct {
	*service

	client *client
	size   int
	ids    []string
	meter
	took map[string][]time.Duration
	used map[string]usage
}

// growing are the calls that are compared: how often each is made, and what it does with
// the n-th session. Calls over HTTP are what a client sees; those within the process show the
// store better.
var growing = []struct {
	name  string
	times int
	do    func(ctx context.Context, g *grown, n int) error
}{
	{"get", 500, func(ctx context.Context, g *grown, n int) error {
		return g.call(ctx, request{verb: http.MethodGet, path: "/v2/sessions/" + g.ids[n]})
	}},
	{"set metadata", 500, func(ctx context.Context, g *grown, n int) error {
		return g.call(ctx, request{http.MethodPatch, "/v2/sessions/" + g.ids[n], tree{"metadata": tree{"over": "aHR0cA=="}}})
	}},
	{"list of a user", 500, func(ctx context.Context, g *grown, n int) error {
		return g.call(ctx, request{http.MethodPost, "/v2/sessions/search", tree{
			"queries": []tree{{"userIdQuery": tree{"id": fmt.Sprintf("u%d", n)}}},
		}})
	}},
	{"list of all, 20 a page", 3, func(ctx context.Context, g *grown, _ int) error {
		return g.call(ctx, request{http.MethodPost, "/v2/sessions/search", tree{"query": tree{"limit": 20}}})
	}},
	{"get, in the process", 500, func(ctx context.Context, g *grown, n int) error {
		_, err := g.Sessions.Get(ctx, operator(), g.ids[n], "")
		return err
	}},
	{"set metadata, in the process", 500, func(ctx context.Context, g *grown, n int) error {
		step := session.Step{Metadata: map[string][]byte{"k": []byte("v")}} // new to each session
		_, err := g.Sessions.Set(ctx, operator(), session.Set{SessionID: g.ids[n], Step: step})
		return err
	}},
}

func (g *grown) call(ctx context.Context, r request) error {
	_, err := g.client.do(ctx, r)
	return err
}

// growthReport measures stores of different sizes in turns.
func growthReport(ctx context.Context, s settings) (string, error) {
	embedded := func(g *grown) (table.Table, error) { return fillFile(ctx, s.dir, g) }
	remote := func(g *grown) (table.Table, error) {
		t, err := openDynamo(ctx, dynoxide.Options{NoStream: true}, dynamo.Options{OnConsumed: g.add})
		if err == nil {
			g.ids, err = fill(ctx, t, g.size)
		}
		return t, err
	}
	var b strings.Builder
	b.WriteString("Median times in milliseconds of calls on stores with so many users and as many sessions, in turns: over HTTP on loopback,\nas a client sees them, and in the process, without HTTP. Units are the average that DynamoDB's stand-in counted. The ratio is to the smallest store.\n")
	for _, store := range []struct {
		name string
		most int
		open func(*grown) (table.Table, error)
	}{{"The embedded store, with a flush to the disk for each write", s.bolt, embedded}, {"DynamoDB's stand-in", s.dyno, remote}} {
		rows, err := grow(ctx, store.most, store.open)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s", store.name, markdown(rows))
	}
	return b.String(), nil
}

// grow opens a full store of each power of ten from 1,000 and calls them in turns.
func grow(ctx context.Context, most int, open func(*grown) (table.Table, error)) ([][]string, error) {
	var all []*grown
	for size := 1000; size <= most; size *= 10 {
		g := &grown{size: size, took: map[string][]time.Duration{}, used: map[string]usage{}}
		t, err := open(g)
		if err != nil {
			return nil, err
		}
		if g.service, err = newService(ctx, t); err != nil {
			return nil, err
		}
		g.client = newClient(g.Handler, g.key)
		defer g.client.close()
		all = append(all, g)
	}
	rows := [][]string{{"", "sessions", "ms", "ratio", "read units", "write units"}}
	for _, c := range growing {
		for i := range c.times {
			progressf("%s, %d of %d", c.name, i+1, c.times)
			for _, g := range all {
				g.take()
				begin := time.Now()
				if err := c.do(ctx, g, i*(g.size/c.times)); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				g.took[c.name] = append(g.took[c.name], time.Since(begin))
				one, sum := g.take(), g.used[c.name]
				g.used[c.name] = usage{reads: sum.reads + one.reads, writes: sum.writes + one.writes}
			}
		}
		for _, g := range all {
			half, of, n := quantile(g.took[c.name], 50), quantile(all[0].took[c.name], 50), float64(c.times)
			rows = append(rows, []string{
				c.name, fmt.Sprint(g.size), fmt.Sprintf("%.3f", float64(half)/1e6), fmt.Sprintf("%.2f", float64(half)/float64(of)),
				fmt.Sprintf("%.1f", g.used[c.name].reads/n), fmt.Sprintf("%.1f", g.used[c.name].writes/n),
			})
		}
	}
	progressf("")
	return rows, nil
}

// fillFile fills an embedded store without flushes, and opens it as one that serves. Each
// page is then touched once, as in a process that has run for a while: it is the first touch
// that takes the kernel a microsecond or two.
func fillFile(ctx context.Context, dir string, g *grown) (table.Table, error) {
	name := fmt.Sprint(g.size)
	t, err := openBolt(dir, name, bolt.Options{NoSync: true})
	if err != nil {
		return nil, err
	}
	g.ids, err = fill(ctx, t, g.size)
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, err
	}
	if t, err = openBolt(dir, name, bolt.Options{}); err != nil {
		return nil, err
	}
	return t, t.Dump(ctx, func(table.Row) error { return nil })
}
