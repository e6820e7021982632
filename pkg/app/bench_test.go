package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

// onBothStores runs a benchmark of a call on a session that is bound to a user.
func onBothStores(b *testing.B, call func(s *apptest.Service, userID, sessionID string, i int) error) {
	b.Helper()
	for _, store := range []struct {
		name string
		open func() table.Table
	}{
		{"bolt", func() table.Table { return apptest.Bolt(b) }},
		{"dynamo", func() table.Table { return apptest.Dynamo(b, dynamo.Options{}) }},
	} {
		b.Run(store.name, func(b *testing.B) {
			s := apptest.New(b, apptest.Options{Table: store.open()})
			u := s.NewUser(b, "ada@example.com")
			id := s.NewSession(b, session.Create{Step: apptest.Named(u.ID)}).SessionID
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := call(s, u.ID, id, i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSetMetadata(b *testing.B) {
	hour := time.Hour
	onBothStores(b, func(s *apptest.Service, _, id string, i int) error {
		_, err := s.TrySet(id, session.Step{Lifetime: &hour, Metadata: map[string][]byte{"n": fmt.Append(nil, i)}})
		return err
	})
}

func BenchmarkSetUser(b *testing.B) {
	onBothStores(b, func(s *apptest.Service, userID, id string, _ int) error {
		_, err := s.TrySet(id, apptest.Named(userID))
		return err
	})
}

// BenchmarkSetPassword is argon2id for the most part.
func BenchmarkSetPassword(b *testing.B) {
	onBothStores(b, func(s *apptest.Service, _, id string, _ int) error {
		_, err := s.TrySet(id, apptest.Guess(apptest.Password))
		return err
	})
}

func BenchmarkGet(b *testing.B) {
	onBothStores(b, func(s *apptest.Service, _, id string, _ int) error {
		_, err := s.Sessions.Get(b.Context(), apptest.Admin(), id, "")
		return err
	})
}

func BenchmarkCreate(b *testing.B) {
	onBothStores(b, func(s *apptest.Service, userID, _ string, _ int) error {
		_, err := s.Sessions.Create(b.Context(), apptest.Admin(), session.Create{Step: apptest.Named(userID)})
		return err
	})
}
