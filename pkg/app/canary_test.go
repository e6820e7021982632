package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/stream"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
	"github.com/stepup-auth/stepup/test/canary"
)

var (
	aString  = regexp.MustCompile(`"(\w+)": ?("[^"]*")`)
	aSubject = regexp.MustCompile(`^(/v2/sessions|/v2/users|/stepup/v1/users|/v2/idp_intents)/([^/?]+)`)
)

// bad returns requests that are wrong in the ways in which any can be, and carry the
// secrets of the right one.
func (o *origin) bad(c call) map[string]call {
	with := func(change func(*call)) call {
		wrong := c
		change(&wrong)
		return wrong
	}
	and := "?"
	if strings.Contains(c.path, "?") {
		and = "&"
	}
	return map[string]call{
		"of a stranger":            with(func(c *call) { c.bearer = o.key + "x" }),
		"of a session":             with(func(c *call) { c.bearer = o.token }),
		"with a garbled token":     with(func(c *call) { c.bearer = o.token + "x" }),
		"cut off":                  with(func(c *call) { c.body = strings.TrimSuffix(c.body, "}") }),
		"with lists for texts":     with(func(c *call) { c.body = aString.ReplaceAllString(c.body, `"$1":[$2]`) }),
		"with texts for messages":  with(func(c *call) { c.body = aString.ReplaceAllString(c.body, `$2`) }),
		"about nobody":             with(func(c *call) { c.path = aSubject.ReplaceAllString(c.path, "$1/unknown") }),
		"with a token in its path": with(func(c *call) { c.path += and + "sessionToken=" + url.QueryEscape(o.token) + "&sessionToken=x" }),
		"as text":                  with(func(c *call) { c.body = fmt.Sprintf("%q", c.body) }),
	}
}

// TestG2_NoCallOfTheContractTellsASecret makes each call of the contract wrongly in many
// ways, then rightly, and once more, on both stores, and searches the log, the metrics, the
// refusals and the store, and what the stream of the table says of it.
func TestG2_NoCallOfTheContractTellsASecret(t *testing.T) {
	t.Parallel()
	o := newStoredOrigin(t)
	for kind, open := range map[string]func(t *testing.T) table.Table{
		"bolt":   stores["bolt"],
		"dynamo": func(t *testing.T) table.Table { return apptest.DynamoWithStream(t, dynamo.Options{}) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			together(t, o.calls(), func(t *testing.T, c call) {
				st := o.stand(t, open(t))
				for name, wrong := range o.bad(c) {
					if got := st.make(t, wrong, plan{}); got.status >= 500 {
						t.Errorf("%s: %+v", name, got)
					}
				}
				st.restore(t)
				st.served(t, c, "")
				st.make(t, c, plan{key: "k"})
				if known := st.Secrets.Len(); known < 30 {
					t.Errorf("only %d secrets are known", known)
				}
				if len(st.Secrets.Refused()) == 0 || !strings.Contains(st.Logs.String(), `"fault"`) {
					t.Error("the search sees no refusal")
				}
				if tb, dynamo := st.inner.(*apptest.DynamoTable); dynamo {
					st.wantDiscreetStream(t, tb)
				}
			}) // the search comes with the end of each
		})
	}
}

// heard is a publisher that keeps what it hears.
type heard struct{ text bytes.Buffer }

// Publish implements stream.Publisher.
func (h *heard) Publish(_ context.Context, events []lifecycle.Event) (int, error) {
	for _, e := range events {
		fmt.Fprintf(&h.text, "%+v\n", e)
	}
	return len(events), nil
}

// wantDiscreetStream has the stream of the table told, as a function would, and searches
// the events, the log and the metrics.
func (st *stand) wantDiscreetStream(t *testing.T, tb *apptest.DynamoTable) {
	t.Helper()
	var told heard
	var log, metrics apptest.Log
	handler := stream.New(&told, stream.Options{
		Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: &metrics, Now: st.Clock.Now,
	})
	batch, err := json.Marshal(map[string]any{"Records": dynoxide.Stream(t, tb.Name)})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := handler.Invoke(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if told.text.Len() == 0 || len(batch) < 1000 {
		t.Errorf("%d bytes of records and %d of events", len(batch), told.text.Len())
	}
	st.Secrets.Want(t, canary.Events, append(told.text.Bytes(), answer...))
	st.Secrets.Want(t, canary.Log, []byte(log.String()))
	st.Secrets.Want(t, canary.Metrics, []byte(metrics.String()))
}
