package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// concurrency is how many clients call at the same time: numbers that divide slots.
var concurrency = []int{1, 16, 64}

// loadReport runs all calls on both stores, and an echo among them, in turns.
func loadReport(ctx context.Context, s settings) (string, error) {
	var b strings.Builder
	b.WriteString(`Throughput is operations per second, p50 and p99 are milliseconds as the client sees them, CPU is milliseconds of
this process for one operation, client and server together, without DynamoDB's stand-in, which is a process of its own
on the same processors. Ratios are to the echo, a plain net/http server that reads a JSON document and writes it back,
in the same turns. A code is opened and checked in two calls, and not sent.
Refused are calls that were answered with STEPUP-password-busy or STEPUP-deadline, because more waited than could be
done in time; of the other columns they are only in CPU.
`)
	embedded, err := openBolt(s.dir, "load", bolt.Options{})
	if err != nil {
		return "", err
	}
	defer embedded.Close() //nolint:errcheck // the file goes away
	remote, err := openDynamo(ctx, dynoxide.Options{NoStream: true}, dynamo.Options{})
	if err != nil {
		return "", err
	}
	for _, store := range []struct {
		name  string
		table table.Table
	}{{"The embedded store, with a flush to the disk for each group of writes", embedded}, {"DynamoDB's stand-in", remote}} {
		rows, err := onStore(ctx, s, store.table)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s", store.name, markdown(rows))
	}
	return b.String(), nil
}

func onStore(ctx context.Context, s settings, t table.Table) ([][]string, error) {
	progressf("setting up %d people", slots)
	svc, err := newService(ctx, t)
	if err != nil {
		return nil, err
	}
	w, err := newWorld(ctx, svc)
	if err != nil {
		return nil, err
	}
	defer w.client.close()
	echoing := newClient(http.HandlerFunc(echo), "")
	defer echoing.close()
	measured := append([]call{{name: "echo", do: func(ctx context.Context, _ *world, _ int) error {
		_, err := echoing.do(ctx, request{http.MethodPost, "/", tree{"metadata": tree{"client": "d2Vi"}}})
		return err
	}}}, calls()...)
	rows := [][]string{{"", "clients", "per second", "ratio", "p50", "ratio", "p99", "CPU", "ratio", "refused"}}
	for _, clients := range concurrency {
		samples, err := w.turns(ctx, s, measured, clients)
		if err != nil {
			return nil, err
		}
		for i, c := range measured {
			rows = append(rows, loadRow(c.name, clients, &samples[i], &samples[0]))
		}
	}
	progressf("")
	return rows, nil
}

// turns measures the calls in turns: what else the machine does meets all.
func (w *world) turns(ctx context.Context, s settings, all []call, clients int) ([]sample, error) {
	samples := make([]sample, len(all))
	for turn := range s.turns {
		for i, c := range all {
			progressf("%d clients, turn %d of %d: %s", clients, turn+1, s.turns, c.name)
			one, err := w.turn(ctx, c, clients, s.slice)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", c.name, err), context.Cause(ctx))
			}
			samples[i].add(one)
		}
	}
	return samples, nil
}

func loadRow(name string, clients int, s, base *sample) []string {
	half, of := quantile(s.took, 50), quantile(base.took, 50)
	return []string{
		name, fmt.Sprint(clients),
		fmt.Sprintf("%.0f", s.rate()), times(base.rate(), s.rate()),
		milliseconds(half), times(float64(half), float64(of)), milliseconds(quantile(s.took, 99)),
		milliseconds(s.cpuPer()), times(float64(s.cpuPer()), float64(base.cpuPer())), fmt.Sprint(s.refused),
	}
}

// echo answers with the document that was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	var document any
	if err := json.NewDecoder(r.Body).Decode(&document); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document) //nolint:errchkjson // it was JSON before
}
