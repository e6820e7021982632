package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
	"github.com/stepup-auth/stepup/pkg/user"
)

// TestARegionThatIsStoppedIsToldOnceWithoutAnyNumber has two people in one region asked for
// codes, and runs the real binary over the real stream, which delivers twice.
func TestARegionThatIsStoppedIsToldOnceWithoutAnyNumber(t *testing.T) {
	t.Parallel()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	s := apptest.New(t, apptest.Options{
		Table: dynamo.New(client, name, store.Schema(), dynamo.Options{}), Env: map[string]string{"STEPUP_SMS_CONVERSION_LIMIT": "2"},
	})
	ask := session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}}
	for n := range 3 {
		id := fmt.Sprint("user-", n)
		_, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
			ID: id, Username: id, Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
			Phone: user.Contact{Address: fmt.Sprint("+4144668180", n), Verified: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Users.AddSMSCodes(t.Context(), apptest.Admin(), id); err != nil {
			t.Fatal(err)
		}
		_, err = s.TrySet(s.NewSession(t, session.Create{Step: apptest.Named(id)}).SessionID, ask)
		if stopped := err != nil; stopped != (n == 2) {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	d := deploy(t)
	records := dynoxide.Stream(t, name)
	for range 2 {
		if failed := d.deliver(t, records); failed != nil {
			t.Fatalf("failed: %v; %s", failed, d.Stdout())
		}
	}
	ids := map[any]int{}
	for _, e := range d.bus.Events() {
		if strings.Contains(e.Detail, "4466818") {
			t.Errorf("a number is told: %s", e.Detail)
		}
		if e.DetailType != "sending.stopped" {
			continue
		}
		var detail map[string]any
		if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		ids[detail["id"]]++
		delete(detail, "id")
		delete(detail, "time") // the stream's
		want := map[string]any{
			"version": 1.0, "organizationId": "default", "channel": "sms", "callingCode": "+41", "limit": 2.0, "until": "2026-03-01T13:00:00Z",
		}
		if diff := cmp.Diff(want, detail); diff != "" {
			t.Error(diff)
		}
	}
	if len(ids) != 1 {
		t.Errorf("told by these ids: %v", ids)
	}
}
