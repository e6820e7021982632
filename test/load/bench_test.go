package main

import (
	"context"
	"strconv"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

// bench is a service on an embedded store without flushes, and the first of its people, on
// whose session calls are made in the process, without HTTP.
type bench struct {
	*service
	*person

	b *testing.B
}

// BenchmarkCalls measures what the domain and the embedded store take of each call, for
// profiles of it. The password is missing, which is its hash.
func BenchmarkCalls(b *testing.B) {
	for _, c := range []struct {
		name string
		do   func(bench, int)
	}{
		{"Create", bench.create},
		{"SetMetadata", func(s bench, i int) {
			s.set(session.Step{Metadata: map[string][]byte{"client": strconv.AppendInt(nil, int64(i), 10)}})
		}},
		{"SetTOTP", bench.setTOTP},
		{"CodeRound", bench.codeRound},
		{"SetPasskey", bench.setPasskey},
		{"Get", bench.get},
		{"ListOfUser", func(s bench, _ int) {
			s.list(session.Search{Filters: []session.Filter{session.OfUserID(s.id)}})
		}},
		{"ListOfAll", func(s bench, _ int) { s.list(session.Search{Limit: 20}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := newBench(b)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.do(s, i)
			}
		})
	}
}

func newBench(b *testing.B) bench {
	b.Helper()
	ctx := context.Background()
	t, err := openBolt(b.TempDir(), "bench", bolt.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := t.Close(); err != nil {
			b.Error(err)
		}
	})
	s, err := newService(ctx, t)
	if err != nil {
		b.Fatal(err)
	}
	all, err := people(ctx, s)
	if err != nil {
		b.Fatal(err)
	}
	return bench{s, all[0], b}
}

func (s bench) must(err error) {
	if err != nil {
		s.b.Fatal(err)
	}
}

func (s bench) set(step session.Step) session.Result {
	r, err := s.Sessions.Set(context.Background(), operator(), session.Set{SessionID: s.session, Step: step})
	s.must(err)
	return r
}

func (s bench) create(int) {
	_, err := s.Sessions.Create(context.Background(), operator(), session.Create{
		Step: session.Step{Metadata: map[string][]byte{"client": []byte("web")}},
	})
	s.must(err)
}

func (s bench) setTOTP(int) {
	s.clock.advance(otp.Step) // brings the next code
	s.set(session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: otp.Code(s.seed, s.clock.now())}}})
}

func (s bench) codeRound(int) {
	opened := s.set(session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}}})
	for _, code := range opened.Codes { // the one that was asked for
		s.set(session.Step{Checks: session.Checks{SMS: &session.CheckCode{Code: code}}})
	}
}

// setPasskey leaves what the browser and the authenticator do unmeasured.
func (s bench) setPasskey(int) {
	s.b.StopTimer()
	asked := s.set(session.Step{Challenges: session.RequestChallenges{
		Key: &session.RequestKey{RPID: relyingParty, Verification: passkey.Required},
	}})
	options, err := virtualwebauthn.ParseAssertionOptions(string(asked.KeyOptions))
	s.must(err)
	answer := []byte(virtualwebauthn.CreateAssertionResponse(browser(), s.device, s.credential, *options))
	s.b.StartTimer()
	s.set(session.Step{Checks: session.Checks{Key: &session.CheckKey{Answer: answer}}})
}

func (s bench) get(int) {
	_, err := s.Sessions.Get(context.Background(), operator(), s.session, "")
	s.must(err)
}

func (s bench) list(q session.Search) {
	found, err := s.Sessions.List(context.Background(), operator(), q)
	s.must(err)
	if len(found.Sessions) == 0 {
		s.b.Fatal("an empty list")
	}
}
