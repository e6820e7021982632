package main

import (
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

func TestStoresAreFilledWithUsersAndSessions(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		const n = 120 // more than one write holds
		ids, err := fill(t.Context(), tb, n)
		if err != nil || len(ids) != n {
			t.Fatalf("%d ids, %v", len(ids), err)
		}
		s, err := newService(t.Context(), tb)
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.Sessions.List(t.Context(), operator(), session.Search{Limit: 20})
		if err != nil || found.Total != n || len(found.Sessions) != 20 {
			t.Errorf("%d of %d sessions, %v", len(found.Sessions), found.Total, err)
		}
		if _, err := s.Sessions.Get(t.Context(), operator(), ids[n-1], ""); err != nil {
			t.Error(err)
		}
	})
}
