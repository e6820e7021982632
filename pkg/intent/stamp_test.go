package intent_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/keyring"
)

func newTokens(t testing.TB) intent.Tokens {
	t.Helper()
	text, err := keyring.Generate(rand.Reader, "k1")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return intent.NewTokens(ring)
}

func newToken(t testing.TB, tokens intent.Tokens) (intentID, token string) {
	t.Helper()
	intentID, err := id.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token, err = tokens.Format(intentID)
	if err != nil {
		t.Fatal(err)
	}
	return intentID, token
}

func TestATokenWithAnyOtherByteIsForged(t *testing.T) {
	t.Parallel()
	tokens := newTokens(t)
	intentID, token := newToken(t, tokens)
	if denied := tokens.Check(intentID, token); denied != nil {
		t.Error(denied)
	}
	for i := range token {
		for _, c := range "A0-" {
			if other := token[:i] + string(c) + token[i+1:]; other != token && tokens.Check(intentID, other) == nil {
				t.Fatalf("byte %d may be %q", i, c)
			}
		}
	}
	if _, elsewhere := newToken(t, newTokens(t)); tokens.Check(intentID, elsewhere) != intent.ErrTokenForged {
		t.Error("a token of another keyring is genuine")
	}
}

func TestATokenOfAForeignIDIsAnError(t *testing.T) {
	t.Parallel()
	if token, err := newTokens(t).Format("287123456789012345"); err == nil {
		t.Errorf("got %q", token)
	}
}

func FuzzTokensCheck(f *testing.F) {
	tokens := newTokens(f)
	intentID, genuine := newToken(f, tokens)
	for _, text := range []string{genuine, genuine[1:], genuine + genuine, "", "=", "AQ", "AQH_", strings.Repeat("A", 70), "\xff", genuine + "\n"} {
		f.Add(intentID, text)
	}
	f.Fuzz(func(t *testing.T, named, text string) {
		if denied := tokens.Check(named, text); (denied == nil) != (named == intentID && text == genuine) {
			t.Errorf("%q for %q: %v", text, named, denied)
		}
	})
}
