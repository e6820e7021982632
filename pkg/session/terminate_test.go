package session_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// on creates a session of the user on a device.
func on(t *testing.T, s *apptest.Service, userID, device string) session.Result {
	t.Helper()
	return s.NewSession(t, session.Create{Step: apptest.NamedGuess(userID, apptest.Password), Agent: session.UserAgent{Fingerprint: device}})
}

func terminate(t *testing.T, s *apptest.Service, c session.Terminate) session.Terminated {
	t.Helper()
	done, err := s.Sessions.Terminate(t.Context(), apptest.Admin(), c)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// wantOver checks every path to a session that is over.
func wantOver(t *testing.T, s *apptest.Service, r session.Result) {
	t.Helper()
	_, err := s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, r.Token)
	apptest.WantFault(t, err, session.ErrNotFound)
	_, err = s.TrySet(r.SessionID, session.Step{Metadata: map[string][]byte{"k": []byte("v")}})
	apptest.WantFault(t, err, session.ErrTerminated)
	if _, err := s.Sessions.Authenticate(t.Context(), r.Token); err == nil {
		t.Errorf("the token of session %s is taken", r.SessionID)
	}
	if listed := list(t, s, apptest.Admin(), session.Search{Filters: []session.Filter{session.IDs{r.SessionID}}}); listed.Total != 0 {
		t.Errorf("session %s is listed", r.SessionID)
	}
}

func wantAlive(t *testing.T, s *apptest.Service, r session.Result) {
	t.Helper()
	if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, r.Token); err != nil {
		t.Errorf("session %s: %v", r.SessionID, err)
	}
	if _, err := s.Sessions.Authenticate(t.Context(), r.Token); err != nil {
		t.Errorf("the token of session %s: %v", r.SessionID, err)
	}
	if listed := list(t, s, apptest.Admin(), session.Search{Filters: []session.Filter{session.IDs{r.SessionID}}}); listed.Total != 1 {
		t.Errorf("session %s is not listed", r.SessionID)
	}
}

func TestS6_AllSessionsOfAUserEndAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		ada, ben := s.NewUserCheap(t, "ada"), s.NewUserCheap(t, "ben")
		first, second, other := on(t, s, ada.ID, "laptop"), on(t, s, ada.ID, ""), on(t, s, ben.ID, "laptop")
		if done := terminate(t, s, session.Terminate{UserID: ada.ID}); !done.EveryAgent || !done.At.Equal(s.Clock.Now()) {
			t.Errorf("done = %+v", done)
		}
		wantOver(t, s, first)
		wantOver(t, s, second)
		wantAlive(t, s, other)
		wantAlive(t, s, on(t, s, ada.ID, "laptop")) // the user may sign in again
	})
}

func TestS8_SessionsOfADeviceEndApart(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		ada := s.NewUserCheap(t, "ada")
		phone, again, laptop, unknown := on(t, s, ada.ID, "phone"), on(t, s, ada.ID, "phone"), on(t, s, ada.ID, "laptop"), on(t, s, ada.ID, "")
		if done := terminate(t, s, session.Terminate{UserID: ada.ID, Fingerprint: "phone"}); done.EveryAgent {
			t.Error("every user agent is said to be signed out")
		}
		wantOver(t, s, phone)
		wantOver(t, s, again)
		wantAlive(t, s, laptop)
		wantAlive(t, s, unknown)

		back := on(t, s, ada.ID, "phone")
		wantAlive(t, s, back)
		terminate(t, s, session.Terminate{UserID: ada.ID, Fingerprint: "phone"}) // in the same microsecond
		wantOver(t, s, back)
		wantOver(t, s, phone)

		last := on(t, s, ada.ID, "phone")
		terminate(t, s, session.Terminate{UserID: ada.ID})
		wantOver(t, s, last)
		wantOver(t, s, laptop)
		wantAlive(t, s, on(t, s, ada.ID, "phone"))
	})
}

func TestS7_AllSessionsButOneEnd(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]session.Terminate{
		"of all devices": {}, "of its device": {Fingerprint: "phone"}, "of another device": {Fingerprint: "laptop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				s := apptest.New(t, apptest.Options{Table: tb})
				ada := s.NewUserCheap(t, "ada")
				kept := on(t, s, ada.ID, "phone")
				others := map[string]session.Result{"phone": on(t, s, ada.ID, "phone"), "laptop": on(t, s, ada.ID, "laptop")}
				before := s.View(t, kept.SessionID)
				c := session.Terminate{UserID: ada.ID, Fingerprint: asked.Fingerprint, KeepID: kept.SessionID}
				terminate(t, s, c)
				for device, other := range others {
					if c.Fingerprint == "" || c.Fingerprint == device {
						wantOver(t, s, other)
					} else {
						wantAlive(t, s, other)
					}
				}
				wantAlive(t, s, kept)
				if after := s.View(t, kept.SessionID); after.Sequence != before.Sequence || !after.Changed.Equal(before.Changed) {
					t.Errorf("the kept session changed: %+v, %+v", before.Session, after.Session)
				}
				s.Set(t, kept.SessionID, apptest.Named(ada.ID)) // binds it once more
				terminate(t, s, session.Terminate{UserID: ada.ID})
				_, err := s.Sessions.Get(t.Context(), apptest.Admin(), kept.SessionID, "")
				apptest.WantFault(t, err, session.ErrNotFound)
			})
		})
	}
}

// TestS8_WhatCannotBeKeptEndsNothing: a caller who names a session to keep would
// otherwise sign the user out everywhere.
func TestS8_WhatCannotBeKeptEndsNothing(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ada, ben := s.NewUserCheap(t, "ada"), s.NewUserCheap(t, "ben")
	alive := on(t, s, ada.ID, "")
	deleted, short := on(t, s, ada.ID, ""), s.NewSession(t, session.Create{Step: session.Step{
		Checks: session.Checks{User: &session.CheckUser{ID: ada.ID}}, Lifetime: new(time.Minute),
	}})
	if _, err := s.Sessions.Delete(t.Context(), apptest.Admin(), deleted.SessionID, ""); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Hour)
	for name, id := range map[string]string{
		"of somebody else": on(t, s, ben.ID, "").SessionID, "of nobody": s.NewSession(t, session.Create{}).SessionID,
		"unknown": "no-such-session", "deleted": deleted.SessionID, "expired": short.SessionID,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Sessions.Terminate(t.Context(), apptest.Admin(), session.Terminate{UserID: ada.ID, KeepID: id})
			apptest.WantFault(t, err, session.ErrKeep)
		})
	}
	wantAlive(t, s, alive)
}

func TestS8_WhoMayEndTheSessionsOfAUser(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ada, ben := s.NewUserCheap(t, "ada"), s.NewUserCheap(t, "ben")
	bearer := func(u *user.User) access.Caller {
		caller, err := s.Sessions.Authenticate(t.Context(), on(t, s, u.ID, "").Token)
		if err != nil {
			t.Fatal(err)
		}
		return caller
	}
	for name, tc := range map[string]struct {
		caller access.Caller
		userID string
		want   *fault.Fault
	}{
		"the user":                        {bearer(ada), ada.ID, nil},
		"another user":                    {bearer(ben), ada.ID, access.ErrForbidden},
		"another user, of somebody":       {bearer(ben), "unknown", access.ErrForbidden},
		"nobody":                          {access.Caller{}, ada.ID, access.ErrForbidden},
		"a viewer":                        {access.Caller{ID: "k", Role: access.IAMOwnerViewer}, ada.ID, access.ErrForbidden},
		"a login client":                  {access.Caller{ID: "k", Role: access.IAMLoginClient}, ada.ID, nil},
		"a manager here":                  {access.Caller{ID: "k", Role: access.OrgUserManager, Organization: ada.Organization}, ada.ID, nil},
		"a manager elsewhere":             {access.Caller{ID: "k", Role: access.OrgUserManager, Organization: "elsewhere"}, ada.ID, user.ErrNotFound},
		"a manager, of somebody":          {access.Caller{ID: "k", Role: access.OrgUserManager, Organization: ada.Organization}, "unknown", user.ErrNotFound},
		"an owner, of somebody":           {apptest.Admin(), "unknown", user.ErrNotFound},
		"an owner with an id like a user": {access.Caller{ID: ada.ID}, ada.ID, access.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Sessions.Terminate(t.Context(), tc.caller, session.Terminate{UserID: tc.userID})
			if tc.want == nil && err != nil {
				t.Fatal(err)
			}
			if tc.want != nil {
				apptest.WantFault(t, err, tc.want)
			}
		})
	}
}

// TestS8_TooManyDevicesEndEverySession: what was ended one by one is bounded, and beyond
// the bound nothing that should be over is alive.
func TestS8_TooManyDevicesEndEverySession(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ada := s.NewUserCheap(t, "ada")
	const bound = 16
	phone := on(t, s, ada.ID, "phone 0")
	for i := range bound {
		if done := terminate(t, s, session.Terminate{UserID: ada.ID, Fingerprint: fmt.Sprint("phone ", i)}); done.EveryAgent {
			t.Fatalf("device %d was one too many", i)
		}
	}
	laptop, kept := on(t, s, ada.ID, "laptop"), on(t, s, ada.ID, "phone 0")
	if done := terminate(t, s, session.Terminate{UserID: ada.ID, Fingerprint: "phone 3"}); done.EveryAgent {
		t.Error("a device that is known was one too many")
	}
	wantAlive(t, s, laptop)
	if done := terminate(t, s, session.Terminate{UserID: ada.ID, Fingerprint: "one more", KeepID: kept.SessionID}); !done.EveryAgent {
		t.Error("there is no bound")
	}
	wantOver(t, s, laptop)
	wantOver(t, s, phone)
	wantAlive(t, s, kept)
	if done := terminate(t, s, session.Terminate{UserID: ada.ID, Fingerprint: "phone 0"}); done.EveryAgent {
		t.Error("it does not start anew")
	}
	wantOver(t, s, kept)
}

// TestS6_NothingIsAliveAfterATerminationAmongSteps ends the sessions of a user, all or
// those of a device, while 100 steps are under way on them.
func TestS6_NothingIsAliveAfterATerminationAmongSteps(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]session.Terminate{"all": {}, "of a device": {Fingerprint: "phone"}, "but one": {KeepID: "kept"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				s := apptest.New(t, apptest.Options{Table: tb})
				u := s.NewUserCheap(t, "ada")
				var old []session.Result
				for range 8 {
					old = append(old, on(t, s, u.ID, "phone"))
				}
				kept := on(t, s, u.ID, "phone")
				ended := session.Terminate{UserID: u.ID, Fingerprint: asked.Fingerprint, KeepID: asked.KeepID}
				if ended.KeepID != "" {
					ended.KeepID = kept.SessionID
				}
				results, errs := atOnce(101, func(i int) (session.Result, error) {
					switch {
					case i == 50:
						_, err := s.Sessions.Terminate(t.Context(), apptest.Admin(), ended)
						return session.Result{}, err
					case i%3 == 0:
						return s.TrySet(old[i%len(old)].SessionID, apptest.Named(u.ID))
					default:
						return s.TrySet(old[i%len(old)].SessionID, session.Step{Metadata: map[string][]byte{"k": fmt.Append(nil, i)}})
					}
				})
				if errs[50] != nil {
					t.Fatal(errs[50])
				}
				for i, err := range errs {
					if err != nil && !errors.Is(err, fault.Conflict) && !errors.Is(err, session.ErrTerminated) {
						t.Errorf("step %d: %v", i, err)
					}
				}
				for _, r := range append(results, old...) {
					if r.SessionID == "" {
						continue
					}
					_, err := s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, "")
					apptest.WantFault(t, err, session.ErrNotFound)
					if r.Token == "" {
						continue
					}
					if _, err := s.Sessions.Authenticate(t.Context(), r.Token); err == nil {
						t.Errorf("a token of session %s is taken", r.SessionID)
					}
				}
				if ended.KeepID != "" {
					wantAlive(t, s, kept)
				}
			})
		})
	}
}
