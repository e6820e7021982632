package password_test

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/password"
)

const (
	salt16   = "MDEyMzQ1Njc4OWFiY2RlZg"
	value16  = "MDEyMzQ1Njc4OWFiY2RlZg"
	value32  = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
	argonEnd = "$" + salt16 + "$" + value32
	bcrypt53 = "abcdefghijklmnopqrstuuUmjNXq1XyawyZ/BlKYVX3Rw7vQMuTEm"
)

// unsupported are hashes that must neither be imported nor verified, at no cost:
// the work that some of them ask for would take longer than any test may.
var unsupported = map[string]string{
	"empty":                        "",
	"plain text":                   "secret",
	"only delimiters":              "$$$$$$",
	"unknown algorithm":            "$md5$" + salt16 + argonEnd,
	"md5crypt":                     "$1$MDEyMzQ1$abcdefghijklmnopqrstu.",
	"sha512crypt":                  "$6$rounds=5000$MDEyMzQ1$abc",
	"plaintext of the library":     "$plaintext$secret",
	"base64 of the library":        "$base64$c2VjcmV0",
	"yescrypt":                     "$y$j9T$MDEyMzQ1$MDEyMzQ1",
	"LDAP prefix":                  "{CRYPT}$2b$04$" + bcrypt53,
	"text before":                  "x$2b$04$" + bcrypt53,
	"space behind":                 "$2b$04$" + bcrypt53 + " ",
	"line break in the salt":       "$argon2id$v=19$m=64,t=1,p=1$MDEy\nMzQ1Njc4OWFiY2RlZg$" + value32,
	"not ASCII":                    "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZä$" + value32,
	"201 characters":               "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$" + strings.Repeat("A", 150),
	"argon2 without version":       "$argon2id$m=64,t=1,p=1" + argonEnd,
	"argon2 version 16":            "$argon2id$v=16$m=64,t=1,p=1" + argonEnd,
	"argon2 memory above":          "$argon2id$v=19$m=131073,t=1,p=1" + argonEnd,
	"argon2 memory 4 TiB":          "$argon2id$v=19$m=4294967295,t=1,p=1" + argonEnd,
	"argon2 memory over 32 bits":   "$argon2id$v=19$m=4294967360,t=1,p=1" + argonEnd,
	"argon2 memory below 8 p":      "$argon2id$v=19$m=15,t=1,p=2" + argonEnd,
	"argon2 time above":            "$argon2id$v=19$m=64,t=11,p=1" + argonEnd,
	"argon2 time zero":             "$argon2id$v=19$m=64,t=0,p=1" + argonEnd,
	"argon2 lanes above":           "$argon2id$v=19$m=1024,t=1,p=9" + argonEnd,
	"argon2 lanes zero":            "$argon2id$v=19$m=64,t=1,p=0" + argonEnd,
	"argon2 repeated parameter":    "$argon2id$v=19$m=64,m=4194304,t=1,p=1" + argonEnd,
	"argon2 repeated in place":     "$argon2id$v=19$m=64,t=1,t=1000000" + argonEnd,
	"argon2 other order":           "$argon2id$v=19$t=64,m=8,p=1" + argonEnd,
	"argon2 missing parameter":     "$argon2id$v=19$m=64,t=1" + argonEnd,
	"argon2 parameter with sign":   "$argon2id$v=19$m=+64,t=1,p=1" + argonEnd,
	"argon2 parameter in hex":      "$argon2id$v=19$m=0x40,t=1,p=1" + argonEnd,
	"argon2 parameter without =":   "$argon2id$v=19$m64,t=1,p=1" + argonEnd,
	"argon2 key id":                "$argon2id$v=19$m=64,t=1,p=1,keyid=QQ" + argonEnd,
	"argon2 memory beside version": "$argon2id$v=19,m=4194304$m=64,t=1,p=1" + argonEnd,
	"argon2 sixth field":           "$argon2id$v=19$m=64,t=1,p=1" + argonEnd + "$" + value32,
	"argon2 salt of 3 bytes":       "$argon2id$v=19$m=64,t=1,p=1$MDEy$" + value32,
	"argon2 without salt":          "$argon2id$v=19$m=64,t=1,p=1$$" + value32,
	"argon2 value of 1 byte":       "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$MD",
	"argon2 value of 15 bytes":     "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$MDEyMzQ1Njc4OWFiY2Rl",
	"argon2 without value":         "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$",
	"argon2 value not base64":      "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$" + value32[1:] + ".",
	"bcrypt cost 31":               "$2b$31$" + bcrypt53,
	"bcrypt cost above":            "$2b$15$" + bcrypt53,
	"bcrypt cost 3":                "$2b$03$" + bcrypt53,
	"bcrypt cost of one digit":     "$2b$4$" + bcrypt53,
	"bcrypt cost of three digits":  "$2b$010$" + bcrypt53,
	"bcrypt cost with sign":        "$2b$+9$" + bcrypt53,
	"bcrypt 2x":                    "$2x$04$" + bcrypt53,
	"bcrypt without version":       "$2$04$" + bcrypt53,
	"bcrypt one character short":   "$2b$04$" + bcrypt53[1:],
	"bcrypt one character long":    "$2b$04$" + bcrypt53 + "a",
	"bcrypt salt not base64":       "$2b$04$" + "=" + bcrypt53[1:],
	"bcrypt field behind":          "$2b$04$" + bcrypt53 + "$" + bcrypt53,
	"bcrypt-sha256":                "$bcrypt-sha256$v=2,t=2b,r=12$" + bcrypt53[:22] + "$" + bcrypt53[22:],
	"scrypt memory above":          "$scrypt$ln=18,r=8,p=1" + argonEnd,
	"scrypt memory by block":       "$scrypt$ln=16,r=17,p=1" + argonEnd,
	"scrypt block above":           "$scrypt$ln=2,r=33,p=1" + argonEnd,
	"scrypt huge block":            "$scrypt$ln=1,r=4294967295,p=1" + argonEnd,
	"scrypt block zero":            "$scrypt$ln=4,r=0,p=1" + argonEnd,
	"scrypt parallel above":        "$scrypt$ln=4,r=8,p=5" + argonEnd,
	"scrypt parallel zero":         "$scrypt$ln=4,r=8,p=0" + argonEnd,
	"scrypt ln zero":               "$scrypt$ln=0,r=8,p=1" + argonEnd,
	"scrypt ln over the word":      "$scrypt$ln=64,r=8,p=1" + argonEnd,
	"scrypt ln that would wrap":    "$scrypt$ln=63,r=8,p=1" + argonEnd,
	"scrypt unknown parameter":     "$scrypt$ln=4,r=8,x=1" + argonEnd,
	"scrypt field behind":          "$scrypt$ln=4,r=8,p=1" + argonEnd + "$",
	"scrypt value not base64":      "$scrypt$ln=4,r=8,p=1$" + salt16 + "$-" + value32[1:],
	"scrypt value of 15 bytes":     "$scrypt$ln=4,r=8,p=1$" + salt16 + "$MDEyMzQ1Njc4OWFiY2Rl",
	"pbkdf2 rounds above":          "$pbkdf2-sha256$1500001" + argonEnd,
	"pbkdf2 rounds above by block": "$pbkdf2$750001" + argonEnd, // 32 bytes are two blocks of SHA-1
	"pbkdf2 rounds over 32 bits":   "$pbkdf2-sha256$4294967297" + argonEnd,
	"pbkdf2 rounds zero":           "$pbkdf2-sha256$0" + argonEnd,
	"pbkdf2 rounds negative":       "$pbkdf2-sha256$-1" + argonEnd,
	"pbkdf2 without rounds":        "$pbkdf2-sha256$" + argonEnd,
	"pbkdf2 unknown hash":          "$pbkdf2-md5$1000" + argonEnd,
	"pbkdf2 field behind":          "$pbkdf2-sha256$1000" + argonEnd + "$",
	"pbkdf2 value of 15 bytes":     "$pbkdf2-sha256$1000$" + salt16 + "$MDEyMzQ1Njc4OWFiY2Rl",
	"pbkdf2 salt not base64":       "$pbkdf2-sha256$1000$A$" + value32,
}

func TestP5ImportRefusesWhatIsUnknownMalformedOrTooCostly(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	for name, encoded := range unsupported {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := h.CheckImport(encoded)
			if !errors.Is(err, password.ErrUnsupported) {
				t.Fatalf("CheckImport(%q) = %v, want ErrUnsupported", encoded, err)
			}
			f := fault.From(err)
			if f.Kind != fault.InvalidArgument || f.ID != "USER-JDk4t" || f.Text != "Password hash is not supported" {
				t.Errorf("fault %v %s %q", f.Kind, f.ID, f.Text)
			}
			if errors.Unwrap(f) == nil {
				t.Error("the fault does not say why, for the log")
			}
		})
	}
}

func TestP5ImportAcceptsEverythingUpToTheBounds(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	longest := "$argon2id$v=19$m=1024,t=1,p=1$" + salt16 + "$" + strings.Repeat("A", 147)
	if len(longest) != 200 {
		t.Fatalf("the longest hash of this test has %d characters, want 200", len(longest))
	}
	for name, encoded := range map[string]string{
		"argon2 memory":       "$argon2id$v=19$m=131072,t=1,p=1" + argonEnd,
		"argon2 time, lanes":  "$argon2i$v=19$m=65536,t=10,p=8" + argonEnd,
		"argon2 least memory": "$argon2d$v=19$m=16,t=1,p=2" + argonEnd,
		"argon2 short salt":   "$argon2id$v=19$m=64,t=1,p=1$MDEyMw$" + value16,
		"bcrypt cost":         "$2y$14$" + bcrypt53,
		"scrypt memory":       "$scrypt$ln=17,r=8,p=4" + argonEnd,
		"scrypt small block":  "$scrypt$ln=20,r=1,p=1" + argonEnd,
		"scrypt large block":  "$scrypt$ln=15,r=32,p=1" + argonEnd,
		"pbkdf2 rounds":       "$pbkdf2-sha256$1500000" + argonEnd,
		"pbkdf2 two blocks":   "$pbkdf2$750000" + argonEnd,
		"200 characters":      longest,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := h.CheckImport(encoded); err != nil {
				t.Errorf("CheckImport(%s) = %v", encoded, err)
			}
		})
	}
}

func TestConfiguredBoundsReplaceTheDefaults(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{Bounds: password.Bounds{BcryptCost: 15, PBKDF2Rounds: 10}})
	if err := h.CheckImport("$2b$15$" + bcrypt53); err != nil {
		t.Errorf("raised bcrypt bound: %v", err)
	}
	if err := h.CheckImport("$pbkdf2-sha256$11" + argonEnd); !errors.Is(err, password.ErrUnsupported) {
		t.Errorf("lowered pbkdf2 bound: %v, want ErrUnsupported", err)
	}
	if err := h.CheckImport("$scrypt$ln=18,r=8,p=1" + argonEnd); !errors.Is(err, password.ErrUnsupported) {
		t.Errorf("untouched scrypt bound: %v, want ErrUnsupported", err)
	}
}

func TestP3ConfigBelowTheFloorRefusesToStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config password.Config
		want   string // in the error; empty for none
	}{
		{"one pass at the floor", params(47104, 1, 1), ""},
		{"one pass below", params(47100, 1, 1), "Params.MemoryKiB 47100"},
		{"two passes at the floor", params(19456, 2, 1), ""},
		{"two passes below", params(19452, 2, 1), "Params.MemoryKiB 19452"},
		{"three passes at the floor", params(12288, 3, 1), ""},
		{"three passes below", params(12284, 3, 1), "Params.MemoryKiB 12284"},
		{"ten passes below", params(12284, 10, 1), "Params.MemoryKiB 12284"},
		{"no passes", params(65536, 0, 1), "Params.Time 0"},
		{"no threads", params(65536, 2, 0), "Params.Threads 0"},
		{"memory that would be rounded", params(19458, 2, 1), "Params.MemoryKiB 19458"},
		{"memory that lanes would round", params(19460, 2, 2), "Params.MemoryKiB 19460"},
		{"memory above the bounds", params(131076, 1, 1), "m of 131076"},
		{"passes above the bounds", params(19456, 11, 1), "t of 11"},
		{"threads above the bounds", params(36864, 2, 9), "p of 9"},
		{"negative concurrency", password.Config{MaxConcurrent: -1}, "MaxConcurrent -1"},
		{"impossible bcrypt cost", password.Config{Bounds: password.Bounds{BcryptCost: 32}}, "Bounds.BcryptCost 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := password.New(tt.config)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("New: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("New: %v; want an error with %q", err, tt.want)
			}
		})
	}
}

func params(memory, time uint32, threads uint8) password.Config {
	return password.Config{Params: password.Params{MemoryKiB: memory, Time: time, Threads: threads}}
}

// limits are the default bounds once more, by the name of the parameter.
var limits = map[string]uint64{"m": 131072, "t": 10, "p": 8, "ln": 20, "r": 32}

var (
	named  = regexp.MustCompile(`([a-z]+)=([0-9]+)`)
	second = regexp.MustCompile(`^\$(2[aby]|pbkdf2[-a-z0-9]*)\$([0-9]+)\$`)
)

// numbersAbove returns the parameters in a hash that are above the default bounds,
// read in another way than the package does.
func numbersAbove(encoded string) (above []string) {
	over := func(digits string, limit uint64) bool {
		n, err := strconv.ParseUint(digits, 10, 64)
		return err != nil || n > limit
	}
	parameters := strings.Join(strings.Split(encoded, "$")[:min(4, strings.Count(encoded, "$"))], "$")
	for _, pair := range named.FindAllStringSubmatch(parameters, -1) {
		if limit, ok := limits[pair[1]]; ok && over(pair[2], limit) {
			above = append(above, pair[0])
		}
	}
	if m := second.FindStringSubmatch(encoded); m != nil {
		limit := uint64(14)
		if strings.HasPrefix(m[1], "pbkdf2") {
			limit = 1_500_000
		}
		if over(m[2], limit) {
			above = append(above, m[2])
		}
	}
	return above
}

func FuzzCheckImportAdmitsNothingAboveTheBounds(f *testing.F) {
	for _, encoded := range vectors {
		f.Add(encoded)
	}
	for _, encoded := range unsupported {
		f.Add(encoded)
	}
	h := hasher(f, password.Config{})
	f.Fuzz(func(t *testing.T, encoded string) {
		if h.CheckImport(encoded) != nil {
			return
		}
		if above := numbersAbove(encoded); above != nil || len(encoded) > 200 {
			t.Errorf("CheckImport admitted %q with %v", encoded, above)
		}
	})
}

// FuzzVerify runs with bounds that are so low that every admitted hash is quick; an
// input that slips through shows as a hang.
func FuzzVerifyNeverPanicsAndAgreesWithCheckImport(f *testing.F) {
	for _, encoded := range vectors {
		f.Add(encoded, plain)
	}
	for _, encoded := range unsupported {
		f.Add(encoded, plain)
	}
	f.Add(bcryptOfA, "a\x00a")
	h := hasher(f, password.Config{
		Params: password.Params{MemoryKiB: 12 * 1024, Time: 3, Threads: 1},
		Bounds: password.Bounds{
			MemoryKiB: 12 * 1024, Argon2Time: 3, Argon2Threads: 2, BcryptCost: 4, ScryptParallel: 2, PBKDF2Rounds: 1000,
		},
	})
	f.Fuzz(func(t *testing.T, encoded, plain string) {
		verdict, err := h.Verify(t.Context(), encoded, plain)
		if importable := h.CheckImport(encoded) == nil; importable != (err == nil) {
			t.Errorf("importable is %v, but Verify says %+v, %v", importable, verdict, err)
		}
		if err != nil && (verdict != password.Verdict{} || !errors.Is(err, password.ErrUnusable)) {
			t.Errorf("Verify = %+v, %v; want ErrUnusable and no verdict", verdict, err)
		}
	})
}
