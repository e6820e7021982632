package session_test

import (
	"encoding/base64"
	"testing"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// house is a service with two organizations, a user in each and a session for each.
type house struct {
	*apptest.Service

	creator    access.Caller
	red, blue  *user.User
	reds, free session.Result // red's session, and one without a user
	blues      session.Result
}

func newHouse(t *testing.T) house {
	t.Helper()
	s := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_ORGANIZATIONS": "red,blue"}})
	h := house{Service: s, creator: access.Caller{ID: "login-app", Role: access.IAMLoginClient}}
	h.red, h.blue = member(t, s, "red"), member(t, s, "blue")
	create := func(step session.Step, fingerprint string) session.Result {
		r, err := s.Sessions.Create(t.Context(), h.creator, session.Create{Step: step, Agent: session.UserAgent{Fingerprint: fingerprint}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	h.reds = create(apptest.NamedGuess(h.red.ID, apptest.Password), "red-device")
	h.blues = create(apptest.Named(h.blue.ID), "blue-device")
	h.free = create(session.Step{}, "")
	return h
}

func member(t *testing.T, s *apptest.Service, organization string) *user.User {
	t.Helper()
	u, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Organization: organization,
		Username:     "member@" + organization,
		Profile:      user.Profile{GivenName: "Member", FamilyName: organization},
		Password:     user.NewPassword{Plain: apptest.Password},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.User
}

// callers are all kinds of caller, and which of red's session, blue's session, the
// free session and an unknown one they may see. Who may not gets the same fault for
// all four, so that nobody learns what exists; S15.
func (h house) callers() map[string]struct {
	caller    access.Caller
	visible   [3]bool
	forbidden *fault.Fault
} {
	all, none, red := [3]bool{true, true, true}, [3]bool{}, [3]bool{true, false, false}
	type row = struct {
		caller    access.Caller
		visible   [3]bool
		forbidden *fault.Fault
	}
	role := func(r access.Role, organization string) access.Caller {
		return access.Caller{ID: "key", Role: r, Organization: organization}
	}
	return map[string]row{
		"owner":             {role(access.IAMOwner, ""), all, nil},
		"login client":      {role(access.IAMLoginClient, ""), all, nil},
		"viewer":            {role(access.IAMOwnerViewer, ""), all, nil},
		"user manager":      {role(access.IAMUserManager, ""), all, nil},
		"creator, no role":  {access.Caller{ID: "login-app"}, all, nil},
		"red's org owner":   {role(access.OrgOwner, "red"), red, nil},
		"red's org manager": {role(access.OrgUserManager, "red"), red, nil},
		"red":               {access.Caller{ID: h.red.ID, UserID: h.red.ID, Organization: "red"}, red, nil},
		"red's device":      {access.Caller{ID: h.blue.ID, UserID: "somebody", AgentID: "red-device"}, red, nil},
		"stranger":          {access.Caller{ID: "stranger", UserID: "stranger"}, none, nil},
		"nobody":            {access.Caller{}, none, nil},
	}
}

func TestWhoMayGetASession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, c := range h.callers() {
		for i, id := range []string{h.reds.SessionID, h.blues.SessionID, h.free.SessionID} {
			_, err := h.Sessions.Get(t.Context(), c.caller, id, "")
			if c.visible[i] && err != nil {
				t.Errorf("%s, session %d: %v", name, i, err)
			}
			if !c.visible[i] {
				apptest.WantFault(t, err, forbidden)
			}
		}
		_, err := h.Sessions.Get(t.Context(), c.caller, "00000000000000000000000000", "")
		if c.caller.Can(access.SessionRead, "") {
			apptest.WantFault(t, err, notFound)
		} else {
			apptest.WantFault(t, err, forbidden)
		}
	}
}

func TestS15_CVE_2024_39683_ListShowsWhatGetWouldAndCountsNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, c := range h.callers() {
		want := make(map[string]bool)
		for i, id := range []string{h.reds.SessionID, h.blues.SessionID, h.free.SessionID} {
			if c.visible[i] {
				want[id] = true
			}
		}
		for _, q := range []session.Search{
			{},
			{Filters: []session.Filter{session.IDs{h.reds.SessionID, h.blues.SessionID, h.free.SessionID, "unknown"}}},
			{Filters: []session.Filter{session.OfCreatorID("login-app")}},
		} {
			l := list(t, h.Service, c.caller, q)
			if l.Total != len(want) || len(l.Sessions) != len(want) {
				t.Errorf("%s: total %d with %d rows, want %d", name, l.Total, len(l.Sessions), len(want))
			}
			for _, v := range l.Sessions {
				if !want[v.ID] {
					t.Errorf("%s sees %s", name, v.ID)
				}
			}
		}
	}
}

func TestS8_WhoMayDeleteASession(t *testing.T) {
	t.Parallel()
	for name := range newHouse(t).callers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			c := h.callers()[name] // of this house, whose users have ids of their own
			may := c.visible
			if name == "viewer" {
				may = [3]bool{}
			}
			for i, id := range []string{h.reds.SessionID, h.blues.SessionID, h.free.SessionID} {
				_, err := h.Sessions.Delete(t.Context(), c.caller, id, "")
				if may[i] && err != nil {
					t.Errorf("session %d: %v", i, err)
				}
				if !may[i] {
					apptest.WantFault(t, err, forbidden)
					h.View(t, id)
				}
			}
		})
	}
}

func TestTokenDecidesAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nobody := access.Caller{}
	if _, err := h.Sessions.Get(t.Context(), nobody, h.reds.SessionID, h.reds.Token); err != nil {
		t.Errorf("the right token is not enough: %v", err)
	}
	flipped := []byte(h.reds.Token)
	flipped[40] ^= 1
	for name, token := range map[string]string{
		"of another session": h.blues.Token,
		"flipped":            string(flipped),
		"garbled":            "garbage",
		"not base64":         "???",
		"padded":             h.reds.Token + "=",
		"without its end":    h.reds.Token[:len(h.reds.Token)-4],
		"of zeros":           base64.RawURLEncoding.EncodeToString(make([]byte, 68)),
	} {
		_, err := h.Sessions.Get(t.Context(), apptest.Admin(), h.reds.SessionID, token)
		apptest.WantFault(t, err, readToken)
		_, err = h.Sessions.Delete(t.Context(), apptest.Admin(), h.reds.SessionID, token)
		apptest.WantFault(t, err, deleteToken)
		if name == "of another session" {
			continue // as bearer it is another session's
		}
		_, err = h.Sessions.Authenticate(t.Context(), token)
		apptest.WantFault(t, err, badToken)
	}
	if _, err := h.Sessions.Delete(t.Context(), nobody, h.reds.SessionID, h.reds.Token); err != nil {
		t.Errorf("the right token is not enough to delete: %v", err)
	}
}

func TestOnlyOwnersAndLoginClientsMayCreate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, r := range access.Roles() {
		caller := access.Caller{ID: "key", Role: r, Organization: "default"}
		_, err := s.Sessions.Create(t.Context(), caller, session.Create{})
		if r == access.IAMOwner || r == access.IAMLoginClient {
			if err != nil {
				t.Errorf("%s: %v", r, err)
			}
			continue
		}
		apptest.WantFault(t, err, forbidden)
	}
}

func TestBearerIsTheSessionsUserWithItsDevice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	got, err := h.Sessions.Authenticate(t.Context(), h.reds.Token)
	want := access.Caller{
		ID: h.red.ID, UserID: h.red.ID, Organization: "red", SessionID: h.reds.SessionID, AgentID: "red-device",
		AuthenticatedAt: apptest.Epoch(),
	}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, r := range map[string]session.Result{"user only": h.blues, "no user": h.free} {
		_, err := h.Sessions.Authenticate(t.Context(), r.Token)
		if err == nil {
			t.Errorf("%s is enough", name)
		}
		apptest.WantFault(t, err, wire(fault.PermissionDenied, "AUTHZ-Kl3p0", "authentication required"))
	}
}
