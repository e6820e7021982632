package session_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/session"
)

func newRing(t testing.TB) *keyring.Ring {
	t.Helper()
	text, err := keyring.Generate(rand.Reader, "k1")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newToken(t testing.TB) session.Token {
	t.Helper()
	sessionID, err := id.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := session.Token{SessionID: sessionID}
	if _, err := rand.Read(token.ID[:]); err != nil {
		t.Fatal(err)
	}
	return token
}

func format(t testing.TB, tokens session.Tokens, token session.Token) string {
	t.Helper()
	text, err := tokens.Format(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTokenSaysWhatItWasMadeOf(t *testing.T) {
	t.Parallel()
	tokens := session.NewTokens(newRing(t))
	want := newToken(t)
	text := format(t, tokens, want)
	if got, genuine := tokens.Parse(text); !genuine || got != want {
		t.Errorf("got %+v (%t), want %+v", got, genuine, want)
	}
	if len(text) != 91 {
		t.Errorf("the token has %d characters", len(text))
	}
}

func TestS1_TokenCannotBeMadeWithoutTheKeyring(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	tokens := session.NewTokens(ring)
	token := newToken(t)
	raw, err := id.Decode(token.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := ring.Stamp("api-key", append(raw[:], token.ID[:]...))
	if err != nil {
		t.Fatal(err)
	}
	short, err := ring.Stamp("session-token", raw[:])
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	for name, text := range map[string]string{
		"another keyring": format(t, session.NewTokens(newRing(t)), token),
		"another purpose": encode(elsewhere),
		"another length":  encode(short),
		"its parts alone": encode(append(raw[:], token.ID[:]...)),
		"nothing":         "",
		"line break":      format(t, tokens, token) + "\n",
		"padding":         format(t, tokens, token) + "=",
	} {
		if got, genuine := tokens.Parse(text); genuine {
			t.Errorf("%s is genuine: %+v", name, got)
		}
	}
}

func TestS1_TokenWithAnyOtherByteIsNotGenuine(t *testing.T) {
	t.Parallel()
	tokens := session.NewTokens(newRing(t))
	text := format(t, tokens, newToken(t))
	for i := range text {
		for _, c := range []byte("A0-") {
			other := []byte(text)
			if other[i] == c {
				continue
			}
			other[i] = c
			if _, genuine := tokens.Parse(string(other)); genuine {
				t.Fatalf("byte %d may be %q", i, c)
			}
		}
	}
}

func TestTokenOfAForeignSessionIDIsAnError(t *testing.T) {
	t.Parallel()
	tokens := session.NewTokens(newRing(t))
	if text, err := tokens.Format(session.Token{SessionID: "287123456789012345"}); err == nil {
		t.Errorf("got %q", text)
	}
}

func FuzzTokensParse(f *testing.F) {
	tokens := session.NewTokens(newRing(f))
	genuine := format(f, tokens, newToken(f))
	for _, text := range []string{
		genuine, genuine[1:], genuine + genuine, "", "=", "AQ", "AQH_", strings.Repeat("A", 91), "\xff", "stepup_" + genuine,
		base64.RawURLEncoding.EncodeToString([]byte{1, 255}), base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{1}, 300)),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := tokens.Parse(text)
		if !ok {
			if token != (session.Token{}) {
				t.Errorf("a refused token says %+v", token)
			}
			return
		}
		if again := format(t, tokens, token); again != text {
			t.Errorf("%q and %q say the same", text, again)
		}
	})
}
