package main

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"

	"github.com/descope/virtualwebauthn"
	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// slots is how many people there are: the most that may call at the same time, because
// two calls on one session would wait for each other.
const slots = 64

// listed is how many sessions of each person a list finds.
const listed = 10

const plain = "correct horse battery"

// person has every factor and a session that is bound to them.
type person struct {
	id, session string
	seed        []byte // of the authenticator app
	device      virtualwebauthn.Authenticator
	credential  virtualwebauthn.Credential
}

// people creates as many as there are slots.
func people(ctx context.Context, s *service) ([]*person, error) {
	hasher, err := password.New(password.Config{Params: password.DefaultParams()})
	if err != nil {
		return nil, err
	}
	hash, err := hasher.Hash(ctx, rand.Reader, plain)
	if err != nil {
		return nil, err
	}
	all := make([]*person, slots)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	for i := range all {
		work.Go(func() (err error) {
			all[i], err = newPerson(ctx, s, fmt.Sprintf("person-%d", i), hash)
			return err
		})
	}
	return all, work.Wait()
}

func newPerson(ctx context.Context, s *service, id, hash string) (*person, error) {
	p := &person{id: id, seed: []byte(rand.Text()[:20])}
	made, err := s.Users.Create(ctx, operator(), user.Registration{
		ID: id, Username: id + "@example.com", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:      user.Contact{Address: id + "@example.com", Verified: true},
		Phone:      user.Contact{Address: "+41446681800", Verified: true},
		Password:   user.NewPassword{Hash: hash},
		TOTPSecret: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(p.seed),
	})
	if err != nil {
		return nil, err
	}
	if _, err := s.Users.AddSMSCodes(ctx, operator(), id); err != nil {
		return nil, err
	}
	if err := p.register(ctx, s, made.User); err != nil {
		return nil, err
	}
	for range listed {
		r, err := s.Sessions.Create(ctx, operator(), session.Create{
			Step: session.Step{Checks: session.Checks{User: &session.CheckUser{ID: id}}},
		})
		if err != nil {
			return nil, err
		}
		p.session = r.SessionID
	}
	return p, nil
}

// browser is where the person's authenticator is used.
func browser() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: relyingParty, Origin: origin}
}

// register enrols the person's authenticator as a passkey.
func (p *person) register(ctx context.Context, s *service, u *user.User) (err error) {
	p.device = virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: u.KeyHandle()})
	p.credential = passkeytest.Credential(7)
	_, made, err := s.Users.RegisterKey(ctx, operator(), p.id, user.KeyRequest{Kind: passkey.Passkey, RPID: relyingParty})
	if err != nil {
		return err
	}
	options, err := virtualwebauthn.ParseAttestationOptions(string(made.Options))
	if err != nil {
		return err
	}
	_, err = s.Users.VerifyKey(ctx, operator(), p.id, user.KeyProof{
		Kind: passkey.Passkey, ID: made.ID, Name: "laptop",
		Response: []byte(virtualwebauthn.CreateAttestationResponse(browser(), p.device, p.credential, *options)),
	})
	return err
}
