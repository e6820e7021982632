package apptest

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/test/canary"
)

// DynamoTable is a table of the DynamoDB stand-in that shows all that it holds.
type DynamoTable struct {
	*dynamo.Store

	dump func(context.Context) ([]byte, error)
	keys func(context.Context) ([]table.Key, error)

	// Name is that of the table.
	Name string
}

// watch has every test of a service end with a search: nothing that passed the handler,
// was sent, or was made by the kit is in the log, the metrics, a refusal or the store,
// unless canary.Allowed has it.
func (s *Service) watch(t testing.TB) {
	t.Helper()
	if _, benchmark := t.(*testing.B); benchmark {
		return // it measures the service, and not the search
	}
	s.Handler = s.Secrets.Over(s.Handler)
	t.Cleanup(func() {
		for _, m := range s.Inbox.Messages() {
			s.plantMessage(m)
		}
		s.Secrets.Want(t, canary.Log, []byte(s.Logs.String()))
		s.Secrets.Want(t, canary.Metrics, []byte(s.Metrics.String()))
		s.Secrets.Want(t, canary.Refusal, s.Secrets.Refused())
		s.Secrets.Want(t, canary.Store, s.held(t))
	})
}

func (s *Service) plantMessage(m inbox.Message) {
	s.Secrets.Plant(canary.Code, m.Code)
	kind := canary.Address
	if m.To != "" && m.To[0] == '+' {
		kind = canary.Number
	}
	s.Secrets.Plant(kind, m.To)
}

// plantStep notes what was proved in a step, and what its answer holds.
func (s *Service) plantStep(step session.Step, r session.Result) {
	if p := step.Checks.Password; p != nil {
		s.Secrets.Plant(canary.Password, p.Plain)
	}
	for _, c := range []*session.CheckCode{step.Checks.TOTP, step.Checks.SMS, step.Checks.Email} {
		if c != nil {
			s.Secrets.Plant(canary.Code, c.Code)
		}
	}
	if c := step.Checks.Recovery; c != nil {
		s.Secrets.Plant(canary.Recovery, c.Code)
	}
	if r.Token != "" {
		s.Secrets.Plant(canary.Token, r.Token)
	}
	for _, code := range r.Codes {
		s.Secrets.Plant(canary.Code, code)
	}
}

// held is all that the store holds, down to the bytes of the file: what was removed is
// still in it. Of a store behind something else than a tabletest.Faulty nothing is known.
func (s *Service) held(t testing.TB) []byte {
	t.Helper()
	var raw []byte
	var err error
	tb := s.Table
	if f, faulty := tb.(*tabletest.Faulty); faulty {
		tb = f.Inner()
	}
	switch tb := tb.(type) {
	case *bolt.Store:
		raw, err = os.ReadFile(tb.Path())
	case *DynamoTable:
		raw, err = tb.dump(context.Background())
	default:
	}
	must(t, err)
	return raw
}

// PlantKeyring notes the master keys in a keyring's text.
func PlantKeyring(t testing.TB, l *canary.Ledger, text []byte) {
	t.Helper()
	var ring struct {
		Keys map[string][]byte `json:"keys"`
	}
	must(t, json.Unmarshal(text, &ring))
	for _, key := range ring.Keys {
		l.Plant(canary.MasterKey, string(key))
	}
}
