package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

const purpose = "test"

// master returns the 32 bytes fill, fill+1, … as a fixed master key.
func master(fill byte) []byte {
	key := make([]byte, keyring.KeySize)
	for i := range key {
		key[i] = fill + byte(i)
	}
	return key
}

// ring returns a ring with the fixed keys of the given ids: the n-th id of the
// alphabet k1, k2, k3 always has the same key.
func ring(t testing.TB, current string, ids ...string) *keyring.Ring {
	t.Helper()
	fills := map[string]byte{"k1": 0x10, "k2": 0x50, "k3": 0x90}
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[id] = master(fills[id])
	}
	text, err := json.Marshal(map[string]any{"current": current, "keys": keys})
	if err != nil {
		t.Fatalf("encode ring: %v", err)
	}
	r, err := keyring.Parse(text)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return r
}

// counter is a deterministic source of bytes that do not repeat within a test.
type counter struct {
	mu sync.Mutex
	n  byte
}

func (c *counter) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

func TestGeneratedRingParsesAndWorks(t *testing.T) {
	t.Parallel()
	text, err := keyring.Generate(&counter{}, "k1")
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	r, err := keyring.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	if r.Current() != "k1" {
		t.Errorf("Current = %q, want k1", r.Current())
	}
	want := base64.StdEncoding.EncodeToString(master(1))
	if !strings.Contains(string(text), want) {
		t.Errorf("Generate = %s, want the 32 bytes of the source in it (%s)", text, want)
	}
}

func TestGenerateRefusesBadIDAndMissingRandomness(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "K1", "k-1", "ninechars", "ä"} {
		if text, err := keyring.Generate(&counter{}, id); err == nil {
			t.Errorf("Generate(%q) = %s, want an error", id, text)
		}
	}
	broken := errors.New("entropy is out")
	if _, err := keyring.Generate(iotest.ErrReader(broken), "k1"); !errors.Is(err, broken) {
		t.Errorf("Generate = %v, want the cause", err)
	}
	if _, err := keyring.Generate(bytes.NewReader(make([]byte, 31)), "k1"); err == nil {
		t.Error("Generate made a key from 31 bytes")
	}
}

func TestParseNamesWhatIsWrongAndNeverPrintsAKey(t *testing.T) {
	t.Parallel()
	raw := master(0x10)
	key := base64.StdEncoding.EncodeToString(raw)
	tests := map[string]struct{ text, want string }{
		"nothing":             {``, "not a JSON object"},
		"a list":              {`["` + key + `"]`, "not a JSON object"},
		"only the key":        {`"` + key + `"`, "not a JSON object"},
		"cut off":             {`{"current":"k1","keys":{"k1":"` + key, "not a JSON object"},
		"cut off after comma": {`{"current":"k1",`, "not a JSON object"},
		"text behind":         {`{"current":"k1","keys":{"k1":"` + key + `"}} ` + key, "more text"},
		"object behind":       {`{"current":"k1","keys":{"k1":"` + key + `"}}{}`, "more text"},
		"unknown field":       {`{"current":"k1","keys":{"k1":"` + key + `"},"` + key + `":1}`, "unknown field"},
		"field in capitals":   {`{"Current":"k1","keys":{"k1":"` + key + `"}}`, "unknown field"},
		"repeated field":      {`{"current":"k1","current":"k1","keys":{"k1":"` + key + `"}}`, "repeats"},
		"repeated key id":     {`{"current":"k1","keys":{"k1":"` + key + `","k1":"` + key + `"}}`, "member 2 repeats"},
		"no keys":             {`{"current":"k1"}`, "keys is missing"},
		"empty keys":          {`{"current":"k1","keys":{}}`, "keys is missing or empty"},
		"keys is a list":      {`{"current":"k1","keys":["` + key + `"]}`, "keys: not a JSON object"},
		"keys is null":        {`{"current":"k1","keys":null}`, "keys: not a JSON object"},
		"no current":          {`{"keys":{"k1":"` + key + `"}}`, "current is missing"},
		"current not there":   {`{"current":"k2","keys":{"k1":"` + key + `"}}`, `current names "k2"`},
		"current is a number": {`{"current":1,"keys":{"k1":"` + key + `"}}`, "current must be a string"},
		"current is a key":    {`{"current":"` + key + `","keys":{"k1":"` + key + `"}}`, "current is missing or is not"},
		"id and key swapped":  {`{"current":"k1","keys":{"` + key + `":"k1"}}`, "the id of entry 1"},
		"id in capitals":      {`{"current":"K1","keys":{"K1":"` + key + `"}}`, "the id of entry 1"},
		"id too long":         {`{"current":"k1","keys":{"k1":"` + key + `","ninechars":"` + key + `"}}`, "the id of entry 2"},
		"key is a number":     {`{"current":"k1","keys":{"k1":7}}`, `key "k1" must be a string`},
		"key is not base64":   {`{"current":"k1","keys":{"k1":"` + key[:42] + `!="}}`, `key "k1" is not base64`},
		"key is hex":          {`{"current":"k1","keys":{"k1":"` + hex.EncodeToString(raw) + `"}}`, `key "k1" has 48 bytes`},
		"key without padding": {`{"current":"k1","keys":{"k1":"` + key[:43] + `"}}`, `key "k1" is not base64`},
		"key with spare bits": {`{"current":"k1","keys":{"k1":"` + key[:42] + `9="}}`, `key "k1" is not base64`},
		"key of 16 bytes":     {`{"current":"k1","keys":{"k1":"` + base64.StdEncoding.EncodeToString(raw[:16]) + `"}}`, `key "k1" has 16 bytes`},
		"key of 33 bytes":     {`{"current":"k1","keys":{"k1":"` + base64.StdEncoding.EncodeToString(append(raw[:32:32], 1)) + `"}}`, `key "k1" has 33 bytes`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := keyring.Parse([]byte(tt.text))
			if err == nil {
				t.Fatalf("Parse accepted %s as %v", tt.text, r)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
			// Eight characters are enough to call it a leak; ids have at most eight.
			for i := range len(key) - 8 {
				if strings.Contains(err.Error(), key[i:i+9]) {
					t.Fatalf("error %q contains key material %q", err, key[i:i+9])
				}
			}
		})
	}
}

func TestNoWayOfPrintingARingShowsItsKeys(t *testing.T) {
	t.Parallel()
	r := ring(t, "k2", "k1", "k2")
	if _, err := r.MAC(purpose, "k1", nil); err != nil { // fills the cache of sub-keys too
		t.Fatalf("MAC: %v", err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "ring", r)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "ring", r)
	asJSON, err := json.Marshal(r) //nolint:staticcheck // that nothing is exported is what is tested
	if err != nil {
		t.Fatalf("json: %v", err)
	}
	const want = "keyring(current k2 of 2)"
	outputs := map[string]string{"String": r.String(), "json": string(asJSON), "slog": log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		outputs[verb] = fmt.Sprintf(verb, r)
		if outputs[verb] != want {
			t.Errorf("%s prints %q, want %q", verb, outputs[verb], want)
		}
	}
	if strings.Count(log.String(), want) != 2 {
		t.Errorf("the log does not describe the ring: %s", log.String())
	}
	secret := master(0x10)
	forms := []string{
		string(secret[:8]), hex.EncodeToString(secret[:8]), base64.StdEncoding.EncodeToString(secret)[:10],
		strings.Trim(fmt.Sprint(secret[:8]), "[]"), strings.Trim(fmt.Sprintf("%#v", secret[:4]), "[]byte{}"), //nolint:staticcheck // bytes in decimal are one form to look for
	}
	for name, output := range outputs {
		for _, form := range forms {
			if strings.Contains(output, form) {
				t.Errorf("%s shows key bytes: %s", name, output)
			}
		}
	}
}

func TestRingServesManyGoroutinesAtOnce(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1", "k2")
	random := &counter{}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			use := fmt.Sprintf("purpose-%d", i%4)
			sealed, err := r.Seal(random, use, []byte("seed"), nil)
			if err != nil {
				t.Errorf("Seal: %v", err)
				return
			}
			if plain, err := r.Open(use, sealed, nil); err != nil || string(plain) != "seed" {
				t.Errorf("Open = %q, %v", plain, err)
			}
			mac, err := r.MAC(use, "k2", []byte("a"))
			if err != nil || !r.Verify(use, "k2", mac[:], []byte("a")) {
				t.Errorf("MAC of %s does not verify: %v", use, err)
			}
		})
	}
	wg.Wait()
}

func FuzzParseNeverPanicsAndOnlyYieldsUsableRings(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(master(1))
	f.Add([]byte(`{"current":"k1","keys":{"k1":"` + key + `"}}`))
	f.Add([]byte(`{"keys":{"k1":"` + key + `","k2":"` + key + `"},"current":"k2"}`))
	f.Add([]byte(`{"current":"k1","keys":{"k1":null}}`))
	f.Add([]byte(`{1:2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := keyring.Parse(text)
		if err != nil {
			if r != nil {
				t.Errorf("Parse returned a ring and an error: %v", err)
			}
			return
		}
		mac, err := r.MAC(purpose, r.Current())
		if err != nil || !r.Verify(purpose, r.Current(), mac[:]) {
			t.Errorf("the parsed ring cannot use its current key: %v", err)
		}
	})
}
