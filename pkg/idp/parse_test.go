package idp_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/idp"
)

// object is a good provider with one member replaced.
func object(name, value string) string {
	members := []string{
		"id", `"a"`, "name", `"A"`, "issuer", `"https://a.example"`, "clientId", `"c"`, "clientSecret", `"canary"`, "scopes", `["email"]`,
	}
	var b strings.Builder
	for i := 0; i < len(members); i += 2 {
		if members[i] == name {
			members[i+1] = value
		}
		if members[i+1] != "" {
			fmt.Fprintf(&b, `,%q:%s`, members[i], members[i+1])
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func configured(text string) ([]idp.Provider, error) {
	list, err := idp.Parse([]byte(text))
	if err == nil {
		_, err = idp.New(list, idp.Options{Transport: http.DefaultTransport, Now: time.Now})
	}
	return list, err
}

func TestProvidersAreReadFromJSON(t *testing.T) {
	t.Parallel()
	full := idp.Provider{ID: "a", Name: "A", Issuer: "https://a.example", ClientID: "c", ClientSecret: "canary", Scopes: []string{"email"}}
	nameless, local := full, full
	nameless.Name = "a"
	local.Issuer = "http://127.0.0.1:1234/realm"
	for text, want := range map[string][]idp.Provider{
		`[]`:                               {},
		`[` + object("", "") + `]`:         {full},
		`[` + object("name", "") + "]\n":   {nameless},
		`[` + object("name", `null`) + `]`: {nameless},
		`[` + object("issuer", `"http://127.0.0.1:1234/realm"`) + `]`: {local},
	} {
		got, err := configured(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		// Providers are compared by their fields: they all print without the secret.
		if len(got) != len(want) || len(got) > 0 && !cmp.Equal(got[0], want[0]) {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

func TestProvidersThatMakeNoSenseAreRefusedByFieldAndNotRepeated(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, names string }{
		{``, "JSON list"},
		{`canary`, "JSON list"},
		{`{}`, "JSON list"},
		{`[] canary`, "more text"},
		{`["canary"]`, "provider 1: is not an object"},
		{`[{"canary":1}]`, "provider 1: is not an object"},
		{`[` + object("", "") + `,` + object("", "") + `]`, "provider 2: id"},
		{`[` + object("id", `""`) + `]`, "provider 1: id"},
		{`[` + object("id", `"canary/"`) + `]`, "id"},
		{`[` + object("id", `"`+strings.Repeat("a", 65)+`"`) + `]`, "id"},
		{`[` + object("id", `1`) + `]`, "id"},
		{`[` + object("name", `"\u0000"`) + `]`, "name"},
		{`[` + object("issuer", ``) + `]`, "issuer"},
		{`[` + object("issuer", `"canary"`) + `]`, "issuer"},
		{`[` + object("issuer", `"http://canary.example"`) + `]`, "issuer"},
		{`[` + object("issuer", `"https://canary.example/?q"`) + `]`, "issuer"},
		{`[` + object("issuer", `"https://u:canary@a.example"`) + `]`, "issuer"},
		{`[` + object("clientId", ``) + `]`, "clientId"},
		{`[` + object("clientSecret", ``) + `]`, "clientSecret"},
		{`[` + object("clientSecret", `["canary"]`) + `]`, "clientSecret"},
		{`[` + object("scopes", `["can ary"]`) + `]`, "scopes"},
		{`[` + object("scopes", `"canary"`) + `]`, "scopes"},
	} {
		_, err := configured(tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.names) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want it to name %s", tc.text, err, tc.names)
		}
	}
}

func TestAProviderPrintsWithoutItsSecret(t *testing.T) {
	t.Parallel()
	p := idp.Provider{ID: "a", Issuer: "https://a.example", ClientSecret: "canary"}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("provider", "p", p)
	for _, text := range []string{fmt.Sprint(p), fmt.Sprintf("%#v %+v %d %s", p, p, p, []idp.Provider{p}), logged.String()} {
		if strings.Contains(text, "canary") || !strings.Contains(text, "https://a.example") {
			t.Errorf("it prints as %s", text)
		}
	}
}

func FuzzParseOfProviders(f *testing.F) {
	f.Add([]byte(`[` + object("", "") + `]`))
	f.Add([]byte(`[{"id":1}]`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := idp.Parse(text)
		if err != nil {
			return
		}
		if _, err := idp.New(list, idp.Options{Transport: http.DefaultTransport, Now: time.Now}); err == nil {
			for _, p := range list {
				if p.ID == "" || p.ClientSecret == "" {
					t.Errorf("took %v", p)
				}
			}
		}
	})
}
