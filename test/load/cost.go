package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// repeats is how often each call is made; what it took is the average.
const repeats = 20

// known is what the meter cannot see of each call: how many calls over HTTP, hashes and
// changes it is, and what docs/operations.md allows it.
var known = map[string]usage{
	"create":                   {calls: 1, changes: 1, budgetTrips: 2, budgetUnits: 5},
	"set metadata":             {calls: 1, changes: 1, budgetTrips: 2, budgetUnits: 1},
	"set password":             {calls: 1, changes: 1, hashes: 1, budgetTrips: 3, budgetUnits: 4},
	"set TOTP":                 {calls: 1, changes: 1, budgetTrips: 3, budgetUnits: 4},
	"open a code and check it": {calls: 2, changes: 2, budgetTrips: 6, budgetUnits: 6},
	"set passkey":              {calls: 1, changes: 1, budgetTrips: 3, budgetUnits: 4},
	"get":                      {calls: 1, budgetTrips: 1},
	"list 10 of a user":        {calls: 1},
}

// meter sums what DynamoDB says that it was used for. It is safe for concurrent use.
type meter struct {
	mu sync.Mutex
	u  usage
}

func (m *meter) add(_ string, read, write float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.u.trips++
	m.u.reads += read
	m.u.writes += write
}

// take returns the sums and begins again.
func (m *meter) take() usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.u
	m.u = usage{}
	return u
}

// costReport counts what each call takes of DynamoDB and puts a price on it.
func costReport(ctx context.Context, _ settings) (string, error) {
	var m meter
	t, err := openDynamo(ctx, dynoxide.Options{}, dynamo.Options{OnConsumed: m.add})
	if err != nil {
		return "", err
	}
	progressf("setting up %d people", slots)
	s, err := newService(ctx, t)
	if err != nil {
		return "", err
	}
	w, err := newWorld(ctx, s)
	if err != nil {
		return "", err
	}
	defer w.client.close()
	rows := [][]string{{"", "requests", "read units", "write units", "allowed", "gateway", "Lambda", "writes", "reads", "logs", "events", "USD"}}
	for _, c := range calls() {
		progressf("counting: %s", c.name)
		u, err := w.count(ctx, c, &m)
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		rows = append(rows, costRow(c.name, u))
	}
	progressf("")
	return fmt.Sprintf(`For a million of each call in USD, without messages. Requests and units are what DynamoDB's stand-in counted, the
average of %d calls of a warm process; allowed is the table "What a call costs" of [operations.md](operations.md), as
sequential round trips and write units, where requests may overlap. Lambda is priced as if none did: %.0f ms for each request,
%.0f ms of its own, %.0f ms for a hash, at %.1f GB; these times are assumptions. Prices are list prices of us-east-1 from memory, November
2026, named in [price.go](../test/load/price.go): verify them. A text message costs 0.005 to 0.30 and a mail 0.0001
each, which is 5,000 to 300,000 and 100 for a million.

%s`, repeats, tripMillis, ownMillis, hashMillis, memoryGB, markdown(rows)), nil
}

// count makes the call for different people and returns what one took.
func (w *world) count(ctx context.Context, c call, m *meter) (usage, error) {
	w.clock.advance(otp.Step)
	u := known[c.name]
	for i := range repeats {
		if c.prepare != nil {
			if err := c.prepare(ctx, w, i); err != nil {
				return usage{}, err
			}
		}
		m.take()
		if err := c.do(ctx, w, i); err != nil {
			return usage{}, err
		}
		one := m.take()
		u.trips += one.trips / repeats
		u.reads += one.reads / repeats
		u.writes += one.writes / repeats
	}
	return u, nil
}

func costRow(name string, u usage) []string {
	b := price(u)
	allowed := ""
	if u.budgetTrips > 0 {
		allowed = fmt.Sprintf("%.0f / %.0f", u.budgetTrips, u.budgetUnits)
	}
	row := []string{name, fmt.Sprintf("%.1f", u.trips), fmt.Sprintf("%.1f", u.reads), fmt.Sprintf("%.1f", u.writes), allowed}
	for _, usd := range []float64{b.gateway, b.lambda, b.writes, b.reads, b.logs, b.events, b.sum()} {
		row = append(row, fmt.Sprintf("%.2f", usd))
	}
	return row
}
