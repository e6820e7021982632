package apptest

import (
	"context"
	"net/url"
	"testing"

	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// StartAt begins a sign-in and returns where the browser goes.
func (s *Service) StartAt(t testing.TB, providerID string) string {
	t.Helper()
	_, address, err := s.Intents.Start(context.Background(), Admin(), intent.Start{
		ProviderID: providerID, SuccessURL: "https://login.example.com/ok", FailureURL: "https://login.example.com/failed",
	})
	must(t, err)
	return address
}

// Answer is a callback's path and query as the service of intents takes it.
func Answer(t testing.TB, callback string) intent.Answer {
	t.Helper()
	u, err := url.Parse(callback)
	must(t, err)
	q := u.Query()
	return intent.Answer{State: q.Get("state"), Code: q.Get("code"), Error: q.Get("error"), Issuer: q.Get("iss")}
}

// SignInAt is a whole sign-in of a login at a stub. It returns what proves it to a
// session.
func (s *Service) SignInAt(t testing.TB, stub *idptest.Stub, providerID, login string) session.CheckIntent {
	t.Helper()
	outcome, err := s.Intents.Callback(context.Background(), Answer(t, stub.SignIn(t, s.StartAt(t, providerID), login)))
	must(t, err)
	if outcome.Failure != nil {
		t.Fatal(outcome.Failure)
	}
	u, err := url.Parse(outcome.Redirect)
	must(t, err)
	return session.CheckIntent{ID: u.Query().Get("id"), Token: u.Query().Get("token")}
}

// Link links a user to an account as Admin.
func (s *Service) Link(t testing.TB, userID, providerID, login string) {
	t.Helper()
	_, err := s.Users.AddLink(context.Background(), Admin(), userID, user.Link{ProviderID: providerID, ExternalID: login, Name: login})
	must(t, err)
}

// Federated is a step that checks a sign-in.
func Federated(c session.CheckIntent) session.Step {
	return session.Step{Checks: session.Checks{Intent: &c}}
}
