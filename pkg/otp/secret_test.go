package otp_test

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
)

func TestT1ANewSecretIsThe160BitsOfTheSource(t *testing.T) {
	t.Parallel()
	secret, err := otp.NewSecret(strings.NewReader("abcdefghijklmnopqrstuvwxyz"))
	if err != nil || string(secret) != "abcdefghijklmnopqrst" {
		t.Errorf("NewSecret = %q, %v; want the first 20 bytes", secret, err)
	}
	broken := errors.New("entropy is out")
	if _, err := otp.NewSecret(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewSecret = %v, want the cause", err)
	}
	if secret, err := otp.NewSecret(strings.NewReader("short")); err == nil {
		t.Errorf("NewSecret made %q from 5 bytes", secret)
	}
}

func TestParseSecretReadsEverySpelling(t *testing.T) {
	t.Parallel()
	const want = "12345678901234567890"
	for _, text := range []string{
		"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
		"gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
		"gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
		"GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ====",
		"GEZDGNBV\r\nGY3TQOJQGEZDGNBVGY3TQOJQ\n",
	} {
		if got, err := otp.ParseSecret(text); err != nil || string(got) != want {
			t.Errorf("ParseSecret(%q) = %q, %v", text, got, err)
		}
	}
}

func TestParseSecretForgivesSpareBitsButNoMissingCharacter(t *testing.T) {
	t.Parallel()
	// 16 bytes need 26 characters, of which the last one has two spare bits.
	const text = "GEZDGNBVGY3TQOJQGEZDGNBVG7"
	if got, err := otp.ParseSecret(text); err != nil || string(got) != "1234567890123457" {
		t.Errorf("ParseSecret(%s) = %q, %v", text, got, err)
	}
	for size := 17; size <= 32; size++ {
		whole := size%8 != 1 && size%8 != 3 && size%8 != 6
		if _, err := otp.ParseSecret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"[:size]); whole != (err == nil) {
			t.Errorf("%d characters: %v", size, err)
		}
	}
}

func TestT1ParseSecretBoundsTheLength(t *testing.T) {
	t.Parallel()
	for size := range 80 {
		text := otp.EncodeSecret(bytes.Repeat([]byte{7}, size))
		secret, err := otp.ParseSecret(text)
		if ok := size >= 10 && size <= 64; ok != (err == nil) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err != nil && (!errors.Is(err, otp.ErrSecret) || fault.From(err).Kind != fault.InvalidArgument || secret != nil) {
			t.Errorf("%d bytes: %x, %v; want ErrSecret", size, secret, err)
		}
	}
}

func TestParseSecretRefusesOtherTextAndDoesNotRepeatIt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "=", "GEZDGNBVGY3TQOJ1", "GEZDGNBVGY3TQOJ0", "0123456789abcdef0123", "GEZDGNBVGY3TQOJQG", "ГЕЗД", "GEZDGNBV\x00GY3TQOJQ",
	} {
		_, err := otp.ParseSecret(text)
		if !errors.Is(err, otp.ErrSecret) {
			t.Errorf("ParseSecret(%q) = %v, want ErrSecret", text, err)
			continue
		}
		if len(text) > 8 && strings.Contains(err.Error(), text[:8]) {
			t.Errorf("error %q repeats the secret", err)
		}
	}
}

func TestURIIsReadableByAuthenticatorApps(t *testing.T) {
	t.Parallel()
	const tail = "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	const fixed = "&algorithm=SHA1&digits=6&period=30"
	tests := []struct{ name, issuer, account, want string }{
		{"plain", "stepup", "mini", "otpauth://totp/stepup:mini?" + tail + "&issuer=stepup" + fixed},
		{"without issuer", "", "mini", "otpauth://totp/mini?" + tail + fixed},
		{"spaces and signs", "A & B", "m+i@x.org", "otpauth://totp/A%20%26%20B:m%2Bi%40x.org?" + tail + "&issuer=A%20%26%20B" + fixed},
		{"colons", "localhost:8080", "a:b", "otpauth://totp/localhost-8080:a-b?" + tail + "&issuer=localhost-8080" + fixed},
		{"query signs", "a?b#c", "d/e", "otpauth://totp/a%3Fb%23c:d%2Fe?" + tail + "&issuer=a%3Fb%23c" + fixed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := otp.URI(tt.issuer, tt.account, seed(20)); got != tt.want {
				t.Errorf("URI =\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

func FuzzURIKeepsItsPartsApart(f *testing.F) {
	f.Add("stepup", "mini@mouse.com")
	f.Add("a&secret=x", "b?issuer=y#z")
	f.Add("%00", "\n\"<")
	f.Fuzz(func(t *testing.T, issuer, account string) {
		link, err := url.Parse(otp.URI(issuer, account, seed(20)))
		if err != nil {
			t.Fatalf("not a link: %v", err)
		}
		clean := func(name string) string { return strings.ReplaceAll(name, ":", "-") }
		query := link.Query()
		want := "/" + clean(account)
		if issuer != "" {
			want = "/" + clean(issuer) + ":" + clean(account)
		}
		if link.Path != want || query.Get("issuer") != clean(issuer) || len(query["secret"]) != 1 || link.Fragment != "" {
			t.Errorf("%s reads as %q, %v", link, link.Path, query)
		}
	})
}

func FuzzParseSecret(f *testing.F) {
	f.Add("GEZD GNBV GY3T QOJQ")
	f.Add("=\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := otp.ParseSecret(text)
		if err != nil {
			if !errors.Is(err, otp.ErrSecret) || secret != nil {
				t.Errorf("ParseSecret = %x, %v; want ErrSecret", secret, err)
			}
			return
		}
		if again, err := otp.ParseSecret(otp.EncodeSecret(secret)); err != nil || !bytes.Equal(again, secret) {
			t.Errorf("%x does not survive EncodeSecret: %x, %v", secret, again, err)
		}
	})
}
